"""Finding and ending every process that one start of the system has made.

A start gives its children an environment variable with its id and a session of their own. The variable
alone is not enough: Ray's workers write their title over their environment. The session holds those.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

import psutil

RUN_ID_VARIABLE = "RAYSONDE_RUN_ID"


def of_run(run_id: str, session: int | None = None) -> list[psutil.Process]:
    """Living processes of a run: those with its mark, and those in a session with one that has it.

    Args:
        run_id: the mark.
        session: one that is known to be of the run, although no process of it may have the mark any more.
    """
    processes = [process for process in psutil.process_iter() if is_alive(process)]
    marked = {process.pid for process in processes if _mark(process) == run_id}
    sessions = {session, *(_session(pid) for pid in marked)} - {_session(os.getpid()), None}
    return [p for p in processes if p.pid in marked or _session(p.pid) in sessions]


def is_of_any_run(process: psutil.Process) -> bool:
    """Return whether a start of the system made this process."""
    return _mark(process) is not None


def end(processes: Sequence[psutil.Process], patience_s: float) -> list[psutil.Process]:
    """Terminate, wait up to `patience_s`, then kill. Returns what is alive after that."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=patience_s)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    _, alive = psutil.wait_procs(alive, timeout=5)
    return [process for process in alive if is_alive(process)]


def wait_until_gone(processes: Sequence[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    """Return which of `processes` are alive after at most `timeout_s`."""
    _, alive = psutil.wait_procs(processes, timeout=timeout_s)
    return [process for process in alive if is_alive(process)]


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process runs; a zombie does not, and holds nothing."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(RUN_ID_VARIABLE)
    except psutil.Error:
        return None


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None
