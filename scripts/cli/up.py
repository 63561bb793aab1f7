"""`raysonde up`: from nothing to a system that answers, and back to nothing at Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from ulid_transform import ulid_now

from deployments.store import StoreUnavailable, StoreUnfit
from scripts.host.cpus import asked_cpus
from scripts.host.interruption import Interruption
from scripts.launcher import preflight
from scripts.launcher.first_models import NotTrained, RegistryUnreadable, lacks_models, train_first
from scripts.launcher.run_state import RunState
from scripts.launcher.serve_settings import Profile
from scripts.launcher.serving import serve
from scripts.launcher.start_plan import Plan
from scripts.launcher.user_workloads import WorkloadsDirOption, settings_with
from scripts.launcher.workload_selection import choose
from training.runtime.settings import REPOSITORY, Settings


def up(
    port: Annotated[int, typer.Option(help="Port of the API and the console.")] = 8000,
    host: Annotated[
        str | None, typer.Option(help="Address of the API to listen on, instead of the config's (loopback).")
    ] = None,
    dashboard_port: Annotated[int, typer.Option(help="Port of Ray's dashboard, on loopback.")] = 8265,
    profile: Annotated[
        Profile, typer.Option(help="fast: behind HAProxy; plain: Serve's own proxy.")
    ] = Profile.FAST,
    workloads: Annotated[str, typer.Option(help="Names, separated by spaces; all when empty.")] = "",
    config: Annotated[Path, typer.Option(help="The Serve config to start from.")] = REPOSITORY
    / "serve_config.yaml",
    workloads_dir: WorkloadsDirOption = None,
) -> None:
    """Start everything, stay in the foreground, and stop everything at Ctrl-C.

    Trains the first models when the registry has none. Workloads of --workloads-dir need no application in
    the Serve config. RAYSONDE_CPUS=half keeps to half of the cores, or to as many as it says. Examples:

        raysonde up

        raysonde up --port 8010 --dashboard-port 8275 --workloads apogee

        raysonde up --workloads-dir my_folder --workloads mine
    """
    console = Console()
    begun_s = time.monotonic()
    settings = settings_with(workloads_dir)
    ports = (
        preflight.Port(port, "HTTP", "PORT"),
        preflight.Port(dashboard_port, "Ray's dashboard", "DASHBOARD_PORT"),
    )
    chosen: Sequence[str] = workloads.replace(",", " ").split()
    rendered = ""
    wrong = []
    try:
        chosen, rendered = choose(config, settings, port, chosen, host)
        asked_cpus()
    except (OSError, ValueError) as error:
        wrong.append(str(error))
    problems = preflight.problems(ports, settings.var, len(chosen))
    _refuse(console, [*problems, *_running_already(settings), *wrong])
    plan = Plan(settings, tuple(chosen), rendered, port, dashboard_port, profile, ulid_now())
    with Interruption() as interruption:
        RunState.of_this_process(plan.run_id, plan.ports).write(settings.var)
        # all before the first is trained: a registry that is not there yet is not asked, which takes MLflow
        lacking = [workload for workload in plan.workloads if _needs_training(console, settings, workload)]
        if lacking and not interruption.asked:
            _train(console, plan, lacking, interruption)
        if not interruption.asked:
            serve(console, plan, begun_s, interruption)
        RunState.forget(settings.var)


def _running_already(settings: Settings) -> list[str]:
    """Two systems on one `var/` would write one store and one registry."""
    state = RunState.read(settings.var)
    supervisor = state.supervisor() if state else None
    if state is None or supervisor is None:
        return []
    at = f"process {supervisor.pid}, port {state.ports[0]}"
    return [f"the system runs already ({at}): stop it there with Ctrl-C, or by `make down`"]


def _refuse(console: Console, problems: Sequence[str]) -> None:
    """End the program if anything stands in its way, with a line for each."""
    for problem in problems:
        console.print(f"[bold red]cannot start:[/] {escape(problem)}", highlight=False, soft_wrap=True)
    if problems:
        raise typer.Exit(1)


def _needs_training(console: Console, settings: Settings, workload: str) -> bool:
    try:
        return lacks_models(settings, workload)
    except (RegistryUnreadable, StoreUnavailable, StoreUnfit) as error:
        _refuse(console, [str(error)])
        raise


def _train(console: Console, plan: Plan, workloads: Sequence[str], interruption: Interruption) -> None:
    console.print(
        f"The registry has no models for [bold]{', '.join(workloads)}[/] yet: training the first ones."
    )
    try:
        train_first(plan, workloads, interruption)
    except NotTrained as error:
        _refuse(console, [str(error)])
