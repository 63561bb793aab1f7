"""RAYSONDE_CPUS: what it asks for, and what it bounds."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from scripts.host.cpus import ONE_THREAD, bound_threads, requested_cpus

PRINT_THREADS = """
import json, os
from scripts.host.cpus import bound_process
cpus = bound_process()
print(json.dumps([cpus, len(os.sched_getaffinity(0)), os.environ["OMP_NUM_THREADS"]]))
"""


@pytest.mark.parametrize(
    ("value", "usable", "cpus"),
    [("", 8, None), ("half", 8, 4), ("half", 3, 1), ("half", 1, 1), ("3", 2, 3), (" 2 ", 8, 2)],
)
def test_what_is_asked_for(value: str, usable: int, cpus: int | None) -> None:
    assert requested_cpus({"RAYSONDE_CPUS": value}, lambda: usable) == cpus


def test_without_the_variable_nothing_is_bounded() -> None:
    environment = {"PATH": "/bin"}
    assert bound_threads(environment) is None
    assert environment == {"PATH": "/bin"}


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "all", "²"])
def test_what_cannot_be_meant_is_refused(value: str) -> None:
    with pytest.raises(
        ValueError, match=f"RAYSONDE_CPUS: got '{value}', expected a whole number from 1, or half"
    ):
        requested_cpus({"RAYSONDE_CPUS": value}, lambda: 2)


def test_a_child_gets_a_number_and_the_threads_that_a_user_chose() -> None:
    environment = {"RAYSONDE_CPUS": "3", "OMP_NUM_THREADS": "2"}
    assert bound_threads(environment) == 3
    assert environment == {"RAYSONDE_CPUS": "3", **ONE_THREAD, "OMP_NUM_THREADS": "2"}


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux keeps a process to its cores")
def test_a_process_keeps_to_its_cores() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ONE_THREAD}
    environment["RAYSONDE_CPUS"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", PRINT_THREADS], env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [1, 1, "1"]
