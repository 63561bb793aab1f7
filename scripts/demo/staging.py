"""The stage of a demonstration: a system of its own with its first models, and the weather."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from ulid_transform import ulid_now

from features.config import known_workloads, load_contract
from features.locations import serve_config as own_serve_config
from scripts.demo.plan import HealPlan, calm_cases, cases_of_wave
from scripts.demo.play import Stage
from scripts.demo.synthetic_weather import WORKLOAD
from scripts.demo.workspace import Workspace
from scripts.host.failure import print_failure
from scripts.host.interruption import Interruption
from scripts.launcher import preflight, serve_settings
from scripts.launcher.first_models import NotTrained, lacks_models, train_first
from scripts.launcher.profile import Profile
from scripts.launcher.run_state import RunState
from scripts.launcher.serving import running
from scripts.launcher.start_plan import Plan
from scripts.launcher.supervisor import Supervisor
from training.registry.errors import RegistryUnreadable
from training.runtime.settings import Settings


def plan_system(settings: Settings, profile: Profile, serve_config: str | None = None) -> Plan:
    """Plan the system to be started, on free ports.

    Args:
        settings: of `Workspace.prepare`.
        serve_config: text of the Serve config to start from; None: raysonde's own.
    """
    # any: two that start at once would both find the same one free, and Serve's proxies share a port silently
    port, dashboard_port = preflight.free_port(), preflight.free_port()
    text = serve_config or own_serve_config().read_text()
    rendered = serve_settings.render(text, port, known_workloads(settings.workloads), [WORKLOAD])
    return Plan(settings, (WORKLOAD,), rendered, port, dashboard_port, profile, ulid_now())


@contextmanager
def ready(
    console: Console,
    workspace: Workspace,
    system: Plan,
    interruption: Interruption,
    begun_s: float,
    *,
    fresh: bool = False,
) -> Iterator[Supervisor | None]:
    """Start the system as it is before the first event; None after an interruption before it was ready.

    Args:
        console: shows the progress, and problems.
        workspace: its folder.
        system: of `plan_system`.
        interruption: ends the start.
        begun_s: begin of the user's command, monotonic clock.
        fresh: whether first models that are there are trained again.

    Raises:
        typer.Exit: the system cannot be started, or ends by itself, or leaves processes behind.
    """
    _exit_on(console, [*preflight.problems((), system.settings.var, 1), *_runs_already(system.settings)])
    RunState.of_this_process(system.run_id, system.ports).write(system.settings.var)
    try:
        _bring_first_models(console, workspace, system, interruption, fresh=fresh)
        if interruption.requested:
            yield None
            return
        with running(console, system, begun_s, interruption) as supervisor:
            yield None if interruption.requested else supervisor
    finally:
        RunState.forget(system.settings.var)


def demo_stage(
    settings: Settings,
    plan: HealPlan,
    seed: int,
    at_most_s: float,
    goes_on: Callable[[], bool],
    waits: Callable[[], bool] = lambda: False,
) -> Stage:
    """Make the heat wave of this seed; `goes_on` and `waits` as of `Stage`."""
    contract = load_contract(settings.workloads, WORKLOAD)
    wave = plan.wave(seed, at_most_s)
    cases = cases_of_wave(contract, wave)
    return Stage(
        contract=contract,
        plan=plan,
        cases=cases,
        wave_s=calm_cases(wave, cases) / plan.rate_per_s,
        wave=f"{wave.height_k:g} K within {wave.ramp_hours:g} hours",
        at_most_s=at_most_s,
        goes_on=goes_on,
        waits=waits,
    )


def _runs_already(settings: Settings) -> list[str]:
    state = RunState.read(settings.var)
    there = state.supervisor() if state else None
    return [] if there is None else [f"it runs already (process {there.pid}): stop it there with Ctrl-C"]


def _exit_on(console: Console, problems: list[str]) -> None:
    for problem in problems:
        print_failure(console, "no demonstration", problem)
    if problems:
        raise typer.Exit(1)


def _bring_first_models(
    console: Console, workspace: Workspace, system: Plan, interruption: Interruption, *, fresh: bool
) -> None:
    """Leave the first models and no others in the registry.

    Raises:
        typer.Exit: they cannot be trained.
    """
    if fresh:
        workspace.forget_first_models()
    workspace.reset()
    try:
        if lacks_models(system.settings, WORKLOAD):
            console.print("Training the first models, on a year of calm weather; they are kept.")
            train_first(system, [WORKLOAD], interruption)
    except (NotTrained, RegistryUnreadable) as error:
        _exit_on(console, [str(error)])
    if not interruption.requested:
        workspace.keep_first_models()
