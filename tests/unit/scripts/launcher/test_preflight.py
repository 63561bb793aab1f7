"""What stands in the way of a start, and what is said about it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.launcher import preflight
from scripts.launcher.preflight import Port, free_port, is_free, problems

ENOUGH = 10**10


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_nothing_is_wrong_on_a_good_machine(tmp_path: Path) -> None:
    assert problems((), tmp_path / "var", 1, ENOUGH, (3, 11)) == []
    assert (tmp_path / "var").is_dir()


def test_a_taken_port_is_named_with_its_holder_and_the_option(taken: int, tmp_path: Path) -> None:
    (problem,) = problems((Port(taken, "HTTP", "--port"),), tmp_path, 1, ENOUGH, (3, 11))
    assert problem.startswith(f"port {taken} (HTTP) is taken by ")
    assert f"(process {os.getpid()})" in problem
    assert problem.endswith(f"stop it, or choose another with --port {taken + 1} (make: PORT={taken + 1})")


def test_a_port_held_by_another_start_points_to_raysonde_down(
    taken: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "is_of_any_run", lambda process: True)
    (problem,) = problems((Port(taken, "HTTP", "--port"),), tmp_path, 1, ENOUGH, (3, 11))
    assert "of another start: `raysonde down` ends it" in problem


def test_a_port_is_free_again_when_nobody_listens(taken: int) -> None:
    assert not is_free(taken)
    other = free_port(taken)
    assert other != taken
    assert is_free(other)
    assert free_port(other) == other


@pytest.mark.parametrize(("available", "wrong"), [(2_299_999_999, True), (2_350_000_000, False)])
def test_too_little_memory_is_reported_in_gigabytes(tmp_path: Path, available: int, wrong: bool) -> None:
    found = problems((), tmp_path, 1, available, (3, 11))
    assert bool(found) is wrong
    if wrong:
        assert found[0].startswith("only 2.3 GB of memory is free, 2.4 GB is needed: close other programs")


def test_each_workload_takes_memory(tmp_path: Path) -> None:
    assert problems((), tmp_path, 2, 3_000_000_000, (3, 11)) == []
    assert len(problems((), tmp_path, 3, 3_000_000_000, (3, 11))) == 1


def test_another_python_is_refused(tmp_path: Path) -> None:
    assert problems((), tmp_path, 1, ENOUGH, (3, 12)) == [
        "Python is 3.12, 3.11 is needed: run `make clean up PYTHON=/path/to/python3.11`"
    ]


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (problem,) = problems((), tmp_path / "file" / "var", 1, ENOUGH, (3, 11))
    assert problem.endswith("cannot be made (Not a directory): name another place with RAYSONDE_VAR=/path")


def test_every_problem_has_a_line(taken: int, tmp_path: Path) -> None:
    assert len(problems((Port(taken, "HTTP", "--port"),), tmp_path, 1, 1, (3, 10))) == 3
