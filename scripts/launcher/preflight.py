"""Checks before the system is started, each with what to do where it fails."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from scripts.host.processes import is_of_any_run

# Measured as sums of proportional sets: Ray with its dashboard, Serve and the root application take 1.6 GB,
# each workload 0.6 GB.
BASE_MEMORY_BYTES = 1_700_000_000
WORKLOAD_MEMORY_BYTES = 650_000_000
PYTHON = (3, 11)


@dataclass(frozen=True)
class Port:
    """A port that will be bound, what for, and the option that moves it, which `make` has as a variable."""

    number: int
    purpose: str
    option: str


def problems(
    ports: tuple[Port, ...],
    var: Path,
    workloads: int = 1,
    available_bytes: int | None = None,
    python: tuple[int, int] = sys.version_info[:2],
) -> list[str]:
    """Return a line for each thing that stands in the way; none when all is well.

    Args:
        ports: those that must be free.
        var: the directory for state; made when it is not there.
        workloads: how many will be served.
        available_bytes: free memory; measured when not given.
        python: version of the interpreter.
    """
    available = psutil.virtual_memory().available if available_bytes is None else available_bytes
    found = [
        _python_problem(python),
        _memory_problem(available, BASE_MEMORY_BYTES + workloads * WORKLOAD_MEMORY_BYTES),
        _directory_problem(var),
    ]
    found += [_port_problem(port) for port in ports]
    return [problem for problem in found if problem]


def is_free(port: int) -> bool:
    """Return whether nothing listens on the port, on any address of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # without it, connections of the last run that are in TIME_WAIT would count
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def free_port(preferred: int = 0) -> int:
    """`preferred` if it is free, else one that the system chooses."""
    if preferred and is_free(preferred):
        return preferred
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _python_problem(python: tuple[int, int]) -> str | None:
    if python == PYTHON:
        return None
    return (
        f"Python is {python[0]}.{python[1]}, 3.11 is needed: run `make clean up PYTHON=/path/to/python3.11`"
    )


def _memory_problem(available: int, needed: int) -> str | None:
    if available >= needed:
        return None
    return (
        f"only {available / 1e9:.1f} GB of memory is free, {needed / 1e9:.1f} GB is needed: "
        "close other programs, or start fewer workloads with --workloads apogee (make: WORKLOADS=apogee)"
    )


def _directory_problem(var: Path) -> str | None:
    try:
        var.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"{var} cannot be made ({error.strerror}): name another place with RAYSONDE_VAR=/path"
    if os.access(var, os.W_OK | os.X_OK):
        return None
    return f"{var} is not writable: change its owner, or name another place with RAYSONDE_VAR=/path"


def _port_problem(port: Port) -> str | None:
    if is_free(port.number):
        return None
    taken = f"port {port.number} ({port.purpose}) is taken"
    variable = port.option.removeprefix("--").replace("-", "_").upper()
    other = port.number + 1
    choice = f"or choose another with {port.option} {other} (make: {variable}={other})"
    holder = _holder(port.number)
    if holder is None:
        return f"{taken}: stop what listens there, {choice}"
    who = f"{holder.name()} (process {holder.pid})"
    if is_of_any_run(holder):
        return f"{taken} by {who} of another start: `raysonde down` ends it, {choice}"
    return f"{taken} by {who}: stop it, {choice}"


def _holder(port: int) -> psutil.Process | None:
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.pid
            if listens and connection.laddr and connection.laddr.port == port:
                return psutil.Process(connection.pid)
    return None
