"""Finding and ending what a start has made."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from scripts.host import processes

# prints its pid, then sleeps; with "deaf" it ignores SIGTERM; with "child" it has a child without the mark
PROGRAM = """
import os, signal, subprocess, sys, time
if "deaf" in sys.argv: signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "child" in sys.argv:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env={})
    print(child.pid, flush=True)
else:
    print(os.getpid(), flush=True)
time.sleep(60)
"""


class Starter:
    def __init__(self) -> None:
        self.started: list[subprocess.Popen[str]] = []

    def __call__(self, mark: str, *words: str) -> int:
        """Start the program in its own session; the pid that it prints."""
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *words],
            env={**os.environ, processes.RUN_ID_VARIABLE: mark},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        assert process.stdout is not None
        return int(process.stdout.readline())


@pytest.fixture
def start() -> Iterator[Starter]:
    starter = Starter()
    yield starter
    for process in starter.started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_a_run_is_found_by_its_mark_and_no_other(start: Starter) -> None:
    mine, other = start("run-1"), start("run-2")
    assert [process.pid for process in processes.of_run("run-1")] == [mine]
    assert processes.is_of_any_run(psutil.Process(other))
    assert not processes.is_of_any_run(psutil.Process())


def test_children_that_lost_the_mark_are_found_by_their_session(start: Starter) -> None:
    unmarked = start("run-1", "child")
    assert {process.pid for process in processes.of_run("run-1")} == {start.started[0].pid, unmarked}


def test_an_orphan_is_found_when_the_session_is_known(start: Starter) -> None:
    orphan = start("run-1", "child")
    leader = start.started[0]
    leader.kill()
    leader.wait()
    assert processes.of_run("run-1") == []
    assert [process.pid for process in processes.of_run("run-1", leader.pid)] == [orphan]


def test_what_ignores_a_request_to_end_is_killed(start: Starter) -> None:
    start("run-1", "deaf")
    assert processes.end(processes.of_run("run-1"), patience_s=0.2) == []
    assert processes.of_run("run-1") == []
