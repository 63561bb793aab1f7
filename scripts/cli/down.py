"""`raysonde down`: end a start of the system from another terminal, or what a killed one left behind."""

from __future__ import annotations

import contextlib

import typer
from rich.console import Console

_GOOD_ORDER_S = 60


def down() -> None:
    """End the running system, or what is left of one.

    Only processes that a start from this checkout has made are touched. Example:

        raysonde down
    """
    import psutil

    from scripts.host import processes
    from scripts.launcher.preflight import is_free
    from scripts.launcher.run_state import RunState
    from training.runtime.settings import Settings

    var = Settings.from_environment().var
    console = Console()
    state = RunState.read(var)
    if state is None:
        console.print("Nothing was started from here, or it has ended in good order.")
        return
    with console.status("Ending ..."):
        supervisor = state.supervisor()
        if supervisor is not None:
            with contextlib.suppress(psutil.Error):
                supervisor.terminate()
            processes.wait_until_gone([supervisor], _GOOD_ORDER_S)
        left = processes.end(processes.of_run(state.run_id), patience_s=5)
    taken = [port for port in state.ports if not is_free(port)]
    if left or taken:
        console.print(f"[red]Still there: processes {[p.pid for p in left]}, ports {taken}")
        raise typer.Exit(1)
    RunState.forget(var)
    console.print(f"Everything has ended; ports {', '.join(map(str, state.ports))} are free.")
