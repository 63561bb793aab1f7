"""How a command says that it failed."""

from __future__ import annotations

import io

import pytest
import typer
from rich.console import Console

from scripts.host.failure import exit_on, print_failure


def console() -> Console:
    return Console(file=io.StringIO(), width=20)


def shown(by: Console) -> str:
    assert isinstance(by.file, io.StringIO)
    return by.file.getvalue()


def test_a_failure_is_one_line_and_its_reason_is_no_markup() -> None:
    out = console()
    print_failure(out, "not scored", "expected [bold] in a line that is longer than the console")
    assert shown(out) == "not scored: expected [bold] in a line that is longer than the console\n"


def test_a_named_error_ends_the_program_with_status_1_and_its_line() -> None:
    out, error = console(), ValueError("got 3")
    with pytest.raises(typer.Exit) as ended, exit_on(out, "no", OSError, ValueError):
        raise error
    assert (ended.value.exit_code, ended.value.__cause__) == (1, error)
    assert shown(out) == "no: got 3\n"


def test_any_other_error_goes_on() -> None:
    out = console()
    with pytest.raises(KeyError), exit_on(out, "no", ValueError):
        raise KeyError("x")
    assert shown(out) == ""
