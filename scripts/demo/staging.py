"""What a demonstration is played on: a system of its own that has its first models, and the weather."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.markup import escape
from ulid_transform import ulid_now

from features.config import known_workloads, load_contract
from features.locations import serve_config as own_serve_config
from scripts.demo.plan import HealPlan, calm_cases, cases_of_wave
from scripts.demo.play import Stage
from scripts.demo.synthetic_weather import WORKLOAD
from scripts.demo.workspace import Home
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
    """What will be started, on free ports.

    Args:
        settings: of `Home.move_in`.
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
    home: Home,
    system: Plan,
    interruption: Interruption,
    begun_s: float,
    *,
    fresh: bool = False,
) -> Iterator[Supervisor | None]:
    """The system as it is before anything has happened; None when somebody asked to stop before it was ready.

    Args:
        console: told what is made, and what is wrong.
        home: where it lives.
        system: of `plan_system`.
        interruption: looked at all the time.
        begun_s: when the user's command began, monotonic clock.
        fresh: whether first models that are there are trained again.

    Raises:
        typer.Exit: it cannot be made, or ends by itself, or something is left of it.
    """
    _refuse(console, [*preflight.problems((), system.settings.var, 1), *_runs_already(system.settings)])
    RunState.of_this_process(system.run_id, system.ports).write(system.settings.var)
    try:
        _bring_first_models(console, home, system, interruption, fresh=fresh)
        if interruption.asked:
            yield None
            return
        with running(console, system, begun_s, interruption) as supervisor:
            yield None if interruption.asked else supervisor
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
    """The heat wave of this seed, to be played; `goes_on` and `waits` as of `Stage`."""
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


def _refuse(console: Console, problems: list[str]) -> None:
    for problem in problems:
        console.print(f"[bold red]no demonstration:[/] {escape(problem)}", highlight=False, soft_wrap=True)
    if problems:
        raise typer.Exit(1)


def _bring_first_models(
    console: Console, home: Home, system: Plan, interruption: Interruption, *, fresh: bool
) -> None:
    """The registry has the first models and no others.

    Raises:
        typer.Exit: they cannot be trained.
    """
    if fresh:
        home.forget_first_models()
    home.begin_anew()
    try:
        if lacks_models(system.settings, WORKLOAD):
            console.print("Training the first models, on a year of calm weather; they are kept.")
            train_first(system, [WORKLOAD], interruption)
    except (NotTrained, RegistryUnreadable) as error:
        _refuse(console, [str(error)])
    if not interruption.asked:
        home.keep_first_models()
