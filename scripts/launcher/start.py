"""A start on one machine: what stands in its way, the first models, then serving until somebody stops it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console
from ulid_transform import ulid_now

from deployments.store import StoreIncompatible, StoreUnavailable
from scripts.host.cpus import requested_cpus
from scripts.host.failure import print_failure
from scripts.host.interruption import Interruption
from scripts.launcher import preflight
from scripts.launcher.first_models import NotTrained, lacks_models, train_first
from scripts.launcher.profile import Profile
from scripts.launcher.run_state import RunState
from scripts.launcher.serving import serve
from scripts.launcher.start_plan import Plan
from scripts.launcher.workload_selection import choose
from training.registry.errors import RegistryUnreadable
from training.runtime.private_files import narrow
from training.runtime.settings import Settings


@dataclass(frozen=True)
class StartRequest:
    """A user's request of what to start.

    Attributes:
        port: of HTTP.
        host: address to listen on, instead of the config's.
        dashboard_port: of Ray's dashboard.
        profile: how Serve is run.
        workloads: names; all when empty.
        config: the Serve config to start from; None: raysonde's own.
    """

    port: int
    host: str | None
    dashboard_port: int
    profile: Profile
    workloads: tuple[str, ...]
    config: Path | None


def start(console: Console, settings: Settings, request: StartRequest, begun_s: float) -> None:
    """Train what is missing and serve until somebody asks to stop.

    Args:
        console: told what is done, and what is wrong.
        settings: paths of the state.
        request: what is to be started.
        begun_s: when the user's command began, monotonic clock.

    Raises:
        typer.Exit: something stands in its way, or it ended by itself.
    """
    plan = _plan(console, settings, request)
    with Interruption() as interruption:
        narrow(settings.var)
        RunState.of_this_process(plan.run_id, plan.ports).write(settings.var)
        # all before the first is trained: a registry that is not there yet is not asked, which takes MLflow
        lacking = [workload for workload in plan.workloads if needs_training(console, settings, workload)]
        if lacking and not interruption.requested:
            _train(console, plan, lacking, interruption)
        if not interruption.requested:
            serve(console, plan, begun_s, interruption)
        RunState.forget(settings.var)


def needs_training(console: Console, settings: Settings, workload: str) -> bool:
    """Return whether some arm of the workload has no model.

    Raises:
        typer.Exit: neither the registry nor the store can tell.
    """
    try:
        return lacks_models(settings, workload)
    except (RegistryUnreadable, StoreUnavailable, StoreIncompatible) as error:
        _refuse(console, [str(error)])
        raise


def _plan(console: Console, settings: Settings, request: StartRequest) -> Plan:
    ports = (
        preflight.Port(request.port, "HTTP", "--port"),
        preflight.Port(request.dashboard_port, "Ray's dashboard", "--dashboard-port"),
    )
    chosen: Sequence[str] = request.workloads
    rendered = ""
    wrong = []
    try:
        chosen, rendered = choose(request.config, settings, request.port, chosen, request.host)
        requested_cpus()
    except (OSError, ValueError) as error:
        wrong.append(str(error))
    problems = preflight.problems(ports, settings.var, len(chosen))
    _refuse(console, [*problems, *_running_already(settings), *wrong])
    return Plan(
        settings, tuple(chosen), rendered, request.port, request.dashboard_port, request.profile, ulid_now()
    )


def _running_already(settings: Settings) -> list[str]:
    """Two systems on one `var/` would write one store and one registry."""
    state = RunState.read(settings.var)
    supervisor = state.supervisor() if state else None
    if state is None or supervisor is None:
        return []
    at = f"process {supervisor.pid}, port {state.ports[0]}"
    return [f"the system runs already ({at}): stop it there with Ctrl-C, or by `raysonde down`"]


def _refuse(console: Console, problems: Sequence[str]) -> None:
    """End the program if anything stands in its way, with a line for each."""
    for problem in problems:
        print_failure(console, "cannot start", problem)
    if problems:
        raise typer.Exit(1)


def _train(console: Console, plan: Plan, workloads: Sequence[str], interruption: Interruption) -> None:
    console.print(
        f"The registry has no models for [bold]{', '.join(workloads)}[/] yet: training the first ones."
    )
    try:
        train_first(plan, workloads, interruption)
    except NotTrained as error:
        _refuse(console, [str(error)])
