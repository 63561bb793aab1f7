"""`raysonde demo heal`: weather turns, and the system finds out, trains, proves and promotes by itself."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from ulid import ULID

from features.config import known_workloads, load_contract
from scripts import preflight, serve_settings
from scripts.client import Connection
from scripts.demo.home import Home
from scripts.demo.own_weather import WORKLOAD
from scripts.demo.plan import SHORT, USUAL, HealPlan, calm_cases, cases_of_wave
from scripts.demo.play import Played, Stage, play
from scripts.demo.telling import Telling, steps_table
from scripts.first_models import NotTrained, lacks_models, train_first
from scripts.interruption import Interruption
from scripts.plan import Plan
from scripts.run_state import RunState
from scripts.serve_settings import Profile
from scripts.serving import running
from scripts.supervisor import Supervisor
from training.settings import REPOSITORY, Settings

EVENTS = "demo-heal.json"

_PORT, _DASHBOARD_PORT = 8430, 8431


def heal(
    folder: Annotated[Path | None, typer.Option(help="Where it lives and writes; else var/demo.")] = None,
    seed: Annotated[int, typer.Option(help="Of the weather.")] = 0,
    at_most: Annotated[float, typer.Option(help="Minutes of traffic after which it has failed.")] = 10.0,
    short: Annotated[bool, typer.Option(help="Twice the traffic, half the time: for a test.")] = False,
    fresh: Annotated[bool, typer.Option(help="Train the first models again.")] = False,
    profile: Annotated[Profile, typer.Option(help="As of `raysonde up`.")] = Profile.PLAIN,
) -> None:
    """A heat wave makes the models of `weather` wrong, and the system heals itself, in about five minutes.

    It starts a system of its own, beside any that runs, with models that have seen only calm weather; the
    first time it trains them. Then stations ask, an hour of weather a time, and tell what turned out to be
    true. Each step is told as it happens; a picture and a list of all events are written. Examples:

        raysonde demo heal

        raysonde demo heal --seed 3 --folder /tmp/heal
    """
    console = Console()
    begun_s = time.monotonic()
    home = Home((folder or Settings.from_environment().var / "demo").resolve())
    plan = SHORT if short else USUAL
    settings = home.move_in(plan)
    _refuse(console, _problems(settings))
    with Interruption() as interruption:
        system = _system(settings, profile)
        RunState.of_this_process(system.run_id, system.ports).write(settings.var)
        try:
            _bring_first_models(console, home, system, interruption, fresh=fresh)
            if interruption.asked:
                raise typer.Exit(130)
            stage_of = _Director(console, plan, seed, 60 * at_most, interruption)
            with running(console, system, begun_s, interruption) as supervisor:
                played = None if interruption.asked else stage_of.play(settings, system, supervisor)
        finally:
            RunState.forget(settings.var)
        if played is None or (interruption.asked and played.story.healed_s is None):
            console.print("Cut off.")
            raise typer.Exit(130)
    _tell_end(console, home.folder, plan, seed, played)


def _problems(settings: Settings) -> list[str]:
    state = RunState.read(settings.var)
    there = state.supervisor() if state else None
    running_already = [f"it runs already (process {there.pid}): stop it there with Ctrl-C"] if there else []
    return [*preflight.problems((), settings.var, 1), *running_already]


def _refuse(console: Console, problems: list[str]) -> None:
    for problem in problems:
        console.print(f"[bold red]no demonstration:[/] {escape(problem)}", highlight=False, soft_wrap=True)
    if problems:
        raise typer.Exit(1)


def _system(settings: Settings, profile: Profile) -> Plan:
    port, dashboard_port = preflight.free_port(_PORT), preflight.free_port(_DASHBOARD_PORT)
    text = (REPOSITORY / "serve_config.yaml").read_text()
    rendered = serve_settings.render(text, port, known_workloads(settings.workloads), [WORKLOAD])
    return Plan(settings, (WORKLOAD,), rendered, port, dashboard_port, profile, str(ULID()))


def _bring_first_models(
    console: Console, home: Home, system: Plan, interruption: Interruption, *, fresh: bool
) -> None:
    """Raises typer.Exit when they cannot be trained."""
    if fresh:
        home.forget_first_models()
    home.begin_anew()
    if lacks_models(system.settings, WORKLOAD):
        console.print("Training the first models, on a year of calm weather; they are kept for later runs.")
        try:
            train_first(system, [WORKLOAD], interruption)
        except NotTrained as error:
            _refuse(console, [str(error)])
    if not interruption.asked:
        home.keep_first_models()


class _Director:
    """Has the wave played against a system that is ready."""

    def __init__(
        self, console: Console, plan: HealPlan, seed: int, at_most_s: float, interruption: Interruption
    ) -> None:
        self._console = console
        self._plan = plan
        self._interruption = interruption
        self._at_most_s = at_most_s
        self._wave = plan.wave(seed, at_most_s)

    def play(self, settings: Settings, system: Plan, supervisor: Supervisor) -> Played:
        """Raises ChildDied when the system ends by itself."""
        plan, wave = self._plan, self._wave
        contract = load_contract(settings.workloads, WORKLOAD)
        with self._console.status("Making the weather"):
            cases = cases_of_wave(contract, wave)

        def goes_on() -> bool:
            supervisor.check()
            return not self._interruption.asked

        stage = Stage(
            contract=contract,
            plan=plan,
            cases=cases,
            calm=calm_cases(wave, cases),
            wave=f"{wave.height_k:g} K within {wave.ramp_hours:g} hours",
            at_most_s=self._at_most_s,
            goes_on=goes_on,
        )
        with Telling(self._console) as telling:
            pace = f"{plan.rate_per_s:g} requests a second, {plan.hours_per_s:.1f} hours of weather"
            telling.line(0.0, "calm", f"{plan.stations} stations, {pace}; {system.api_url}")
            return asyncio.run(play(Connection.find(settings, system.api_url), stage, telling))


def _tell_end(console: Console, folder: Path, plan: HealPlan, seed: int, played: Played) -> None:
    from scripts.demo.picture import draw  # matplotlib takes a second

    story = played.story
    picture = draw(folder, story, played.course, plan.rule)
    failed = sum(not hasattr(one.outcome, "row") for one in played.streamed.sent)
    told = {
        "seed": seed,
        "healed": story.healed_s is not None,
        "calm_error": story.calm,
        "requests": len(played.streamed.sent),
        "failed_requests": failed,
        "steps_s": story.steps,
        "events": [asdict(event) for event in story.events],
    }
    path = folder / EVENTS
    path.write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2))
    console.print(steps_table(story))
    console.print(f"{len(played.streamed.sent):,} requests, {failed} of them failed.", highlight=False)
    console.print(f"Written: {picture}, {path}", highlight=False, soft_wrap=True)
    if story.healed_s is None:
        console.print(f"[bold red]not healed:[/] it never came to: {story.missing}", highlight=False)
        raise typer.Exit(1)
