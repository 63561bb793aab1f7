"""Files that are made from others, and the command for them."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from rich.console import Console

from scripts.rendering.files import settle, stale


def test_what_differs_is_written_and_then_no_longer_stale(tmp_path: Path) -> None:
    files = {tmp_path / "same": "1\n", tmp_path / "new" / "other": "2\n"}
    (tmp_path / "same").write_text("1\n")
    assert stale(files) == [tmp_path / "new" / "other"]
    settle(Console(quiet=True), files, check=False, command="make")
    assert stale(files) == []
    assert (tmp_path / "new" / "other").read_text() == "2\n"


def test_a_check_writes_nothing_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended:
        settle(Console(), {tmp_path / "f": "x"}, check=True, command="raysonde render things")
    assert ended.value.exit_code == 1
    assert "raysonde render things" in capsys.readouterr().out
    assert not (tmp_path / "f").exists()


def test_a_check_of_what_is_there_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "f").write_text("x")
    settle(Console(), {tmp_path / "f": "x"}, check=True, command="make")
    assert capsys.readouterr().out == "nothing is stale\n"
