"""`raysonde up`: from nothing to a system that answers, and back to nothing at Ctrl-C."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from ulid import ULID

from features.config import load_sections
from scripts import preflight, serve_settings
from scripts.interruption import Interruption
from scripts.plan import Plan
from scripts.run_state import RunState
from scripts.serve_settings import Profile
from scripts.serving import serve
from scripts.supervisor import Supervisor
from training.settings import REPOSITORY, Settings


def up(
    port: Annotated[int, typer.Option(help="Port of the API and the console.")] = 8000,
    dashboard_port: Annotated[int, typer.Option(help="Port of Ray's dashboard, on loopback.")] = 8265,
    profile: Annotated[
        Profile, typer.Option(help="fast: behind HAProxy; plain: Serve's own proxy.")
    ] = Profile.FAST,
    workloads: Annotated[str, typer.Option(help="Names, separated by spaces; all when empty.")] = "",
    config: Annotated[Path, typer.Option(help="The Serve config to start from.")] = REPOSITORY
    / "serve_config.yaml",
) -> None:
    """Start everything, stay in the foreground, and stop everything at Ctrl-C.

    Trains the first models when the registry has none. Examples:

        raysonde up

        raysonde up --port 8010 --dashboard-port 8275 --workloads apogee
    """
    console = Console()
    begun_s = time.monotonic()
    settings = Settings.from_environment()
    ports = (
        preflight.Port(port, "HTTP", "PORT"),
        preflight.Port(dashboard_port, "Ray's dashboard", "DASHBOARD_PORT"),
    )
    problems = preflight.problems(ports, settings.var)
    chosen: Sequence[str] = workloads.replace(",", " ").split()
    rendered = ""
    try:
        chosen, rendered = _choose(config, settings, port, chosen)
    except (OSError, ValueError) as error:
        problems.append(str(error))
    _refuse(console, problems)
    plan = Plan(settings, tuple(chosen), rendered, port, dashboard_port, profile, str(ULID()))
    with Interruption() as interruption:
        RunState.of_this_process(plan.run_id, plan.ports).write(settings.var)
        for workload in plan.workloads:
            if not interruption.asked and _lacks_models(console, settings, workload):
                _train(console, plan, workload, interruption)
        if not interruption.asked:
            serve(console, plan, begun_s, interruption)
        RunState.forget(settings.var)


def _choose(config: Path, settings: Settings, port: int, chosen: Sequence[str]) -> tuple[Sequence[str], str]:
    """The workloads to start, and the Serve config for them."""
    known = [path.stem for path in sorted(settings.workloads.glob("*.yaml"))]
    text = config.read_text()
    chosen = chosen or serve_settings.served_workloads(text, known)
    return chosen, serve_settings.render(text, port, known, chosen)


def _refuse(console: Console, problems: Sequence[str]) -> None:
    """End the program if anything stands in its way, with a line for each."""
    for problem in problems:
        console.print(f"[bold red]cannot start:[/] {escape(problem)}", highlight=False, soft_wrap=True)
    if problems:
        raise typer.Exit(1)


def _lacks_models(console: Console, settings: Settings, workload: str) -> bool:
    """Whether a family of the workload has no champion in the registry."""
    local = settings.registry_uri.removeprefix("sqlite:///")
    if local != settings.registry_uri and not Path(local).exists():
        return True
    # MLflow takes seconds to import: only when there is a registry to ask
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    from training.registry import Registry

    families = load_sections(settings.workloads, workload)["training"]["families"]
    try:
        return bool(set(families) - Registry(settings).champions(workload).keys())
    except (MlflowException, SQLAlchemyError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        advice = "check RAYSONDE_REGISTRY_URI, or move the file away and train again"
        _refuse(console, [f"the registry {settings.registry_uri} cannot be read ({reason}): {advice}"])
        raise


def _train(console: Console, plan: Plan, workload: str, interruption: Interruption) -> None:
    """Train by the command that a user would give, with its progress on our terminal."""
    console.print(f"The registry has no models for [bold]{workload}[/] yet: training the first ones.")
    command = [sys.executable, "-m", "scripts", "train", workload]
    trainer = Supervisor(command, plan.environment(), None, plan.run_id, ())
    try:
        trainer.start()
        code = trainer.wait(interruption)
    finally:
        trainer.stop(interruption)
    if code and not interruption.asked:
        _refuse(
            console, [f"training {workload} failed: the lines above say why, `make up` goes on from there"]
        )
