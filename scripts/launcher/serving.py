"""The serving part of `raysonde up`: start the child, wait, tell where everything is, watch, stop."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import typer
from rich.console import Console
from rich.markup import escape

from deployments.http.auth import read_or_create_key
from scripts.host.failure import print_failure
from scripts.host.interruption import Interruption
from scripts.launcher.display import StageDisplay, show_ready, write_examples
from scripts.launcher.readiness import StageProbe
from scripts.launcher.serve_settings import OBJECT_STORE_BYTES, read_or_create_ray_token
from scripts.launcher.start_plan import Plan
from scripts.launcher.supervisor import ChildDied, Supervisor


def serve(console: Console, plan: Plan, begun_s: float, interruption: Interruption) -> None:
    """Serve until somebody asks to stop; `begun_s` is when the user's command began (monotonic clock).

    Raises:
        typer.Exit: the child ended by itself, or something is left of it.
    """
    with running(console, plan, begun_s, interruption) as supervisor:
        if not interruption.requested:
            key = _key(plan)
            show_ready(console, plan, key, write_examples(plan), time.monotonic() - begun_s)
        supervisor.watch(
            lambda line: console.print(escape(line), style="yellow", highlight=False), interruption
        )


@contextmanager
def running(console: Console, plan: Plan, begun_s: float, interruption: Interruption) -> Iterator[Supervisor]:
    """Run a system: ready when the context begins, unless somebody asked to stop, and gone at its end.

    A `ChildDied` that is raised within ends it as one during the start does.

    Raises:
        typer.Exit: the child ended by itself, or something is left of it.
    """
    supervisor = _supervisor(plan)
    key = _key(plan)
    token = read_or_create_ray_token(plan.settings.var)
    failure: str | None = None
    try:
        supervisor.start()
        with httpx.Client() as client:
            probe = StageProbe(plan.api_url, key, plan.dashboard_url, token, plan.workloads, client)
            with StageDisplay(console, begun_s) as display:
                supervisor.wait_until_ready(probe.poll, display.show, interruption)
        yield supervisor
    except ChildDied as death:
        failure = str(death)
    finally:
        if interruption.hang_up:
            console = Console(quiet=True)  # the terminal is gone: writing to it would fail
        _print_failure(console, failure, supervisor)
        _stop(console, plan, supervisor, interruption)
    if failure:
        raise typer.Exit(1)


def _key(plan: Plan) -> str:
    """Return the key of the API, as the environment or its file has it."""
    from training.runtime.environment import Environment  # here: see there

    return read_or_create_key(plan.settings.api_key_file, Environment.read())


def _supervisor(plan: Plan) -> Supervisor:
    rendered = plan.settings.var / "serve_config.yaml"
    rendered.write_text(plan.serve_config)
    command = [sys.executable, "-m", "scripts.launcher.serve_child", str(rendered)]
    command += ["--dashboard-port", str(plan.dashboard_port), "--object-store-bytes", str(OBJECT_STORE_BYTES)]
    return Supervisor(command, plan.environment(), plan.log, plan.run_id, plan.ports)


def _print_failure(console: Console, failure: str | None, supervisor: Supervisor) -> None:
    if failure is None:
        return
    for line in supervisor.last_lines():
        console.print(escape(line), style="dim", highlight=False)
    print_failure(console, "not running", failure)


def _stop(console: Console, plan: Plan, supervisor: Supervisor, interruption: Interruption) -> None:
    with StageDisplay(console, time.monotonic()) as display:
        display.show("stopping (Ctrl-C again: at once)")
        left = supervisor.stop(interruption)
    ports = ", ".join(map(str, plan.ports))
    if not left:
        console.print(f"Everything has stopped; ports {ports} are free.", highlight=False)
        return
    console.print(
        f"[red]Still there: processes {list(left.processes)}, ports {list(left.ports)}: try `raysonde down`"
    )
    raise typer.Exit(1)
