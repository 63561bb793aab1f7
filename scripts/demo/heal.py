"""`raysonde demo heal`: weather turns, and the system finds out, trains, proves and promotes by itself."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from ulid import ULID

from features.config import known_workloads, load_contract
from scripts import preflight, serve_settings
from scripts.client import Connection, Prediction
from scripts.demo.home import Home
from scripts.demo.own_weather import WORKLOAD
from scripts.demo.plan import SHORT, USUAL, HealPlan, calm_cases, cases_of_wave
from scripts.demo.play import Played, Stage, play
from scripts.demo.telling import Telling, steps_table
from scripts.first_models import NotTrained, RegistryUnreadable, lacks_models, train_first
from scripts.interruption import Interruption
from scripts.plan import Plan
from scripts.run_state import RunState
from scripts.serve_settings import Profile
from scripts.serving import running
from scripts.supervisor import Supervisor
from training.settings import REPOSITORY, Settings

EVENTS = "demo-heal.json"

# free ports are looked for from here, away from those of a system that the user runs
_PORT, _DASHBOARD_PORT = 8430, 8431


def heal(
    folder: Annotated[Path | None, typer.Option(help="Where it lives and writes; else var/demo.")] = None,
    seed: Annotated[int, typer.Option(help="Of the weather.", min=0)] = 0,
    at_most: Annotated[float, typer.Option(help="Minutes of traffic until it has failed.", min=1)] = 10.0,
    short: Annotated[bool, typer.Option(help="Twice the traffic in half the time, for a test.")] = False,
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
    _refuse(console, [*preflight.problems((), settings.var, 1), *_runs_already(settings)])
    with Interruption() as interruption:
        run = _Run(console, plan, seed, 60 * at_most, _system(settings, profile), interruption)
        RunState.of_this_process(run.system.run_id, run.system.ports).write(settings.var)
        try:
            run.bring_first_models(home, fresh=fresh)
            played = run.play_on_its_own_system(begun_s)
        finally:
            RunState.forget(settings.var)
    if played is None or (interruption.asked and played.story.healed_s is None):
        console.print("Cut off.")
        raise typer.Exit(130)
    run.tell_end(home.folder, played)


@dataclass(frozen=True)
class _Run:
    """One run of the command.

    Attributes:
        at_most_s: how long traffic may go on.
        system: the one to start.
    """

    console: Console
    plan: HealPlan
    seed: int
    at_most_s: float
    system: Plan
    interruption: Interruption

    def bring_first_models(self, home: Home, *, fresh: bool) -> None:
        """The registry has the first models and no others.

        Raises:
            typer.Exit: they cannot be trained.
        """
        if fresh:
            home.forget_first_models()
        home.begin_anew()
        try:
            if lacks_models(self.system.settings, WORKLOAD):
                self.console.print("Training the first models, on a year of calm weather; they are kept.")
                train_first(self.system, [WORKLOAD], self.interruption)
        except (NotTrained, RegistryUnreadable) as error:
            _refuse(self.console, [str(error)])
        if not self.interruption.asked:
            home.keep_first_models()

    def play_on_its_own_system(self, begun_s: float) -> Played | None:
        """None when somebody asked to stop before there was any traffic.

        Raises:
            typer.Exit: the system does not start, or ends by itself.
        """
        if self.interruption.asked:
            return None
        played = None
        with running(self.console, self.system, begun_s, self.interruption) as supervisor:
            if not self.interruption.asked:
                played = self._play(supervisor)
        return played

    def tell_end(self, folder: Path, played: Played) -> None:
        """Write the picture and the events.

        Raises:
            typer.Exit: it has not healed.
        """
        from scripts.demo.picture import draw  # matplotlib takes a second

        story, sent = played.story, played.streamed.sent
        picture = draw(folder, story, played.course, self.plan.rule)
        failed = sum(not isinstance(one.outcome, Prediction) for one in sent)
        told = {
            "seed": self.seed,
            "healed": story.healed_s is not None,
            "calm_error": story.calm,
            "requests": len(sent),
            "failed_requests": failed,
            "steps_s": story.steps,
            "events": [asdict(event) for event in story.events],
        }
        path = folder / EVENTS
        path.write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2))
        self.console.print(steps_table(story))
        self.console.print(f"{len(sent):,} requests, {failed} of them failed.", highlight=False)
        self.console.print(f"Written: {picture}, {path}", highlight=False, soft_wrap=True)
        if story.healed_s is None:
            why = f"not within {self.at_most_s / 60:g} minutes: {story.missing}. {played.waits_for}"
            self.console.print(f"[bold red]not healed:[/] {escape(why)}", highlight=False, soft_wrap=True)
            raise typer.Exit(1)

    def _play(self, supervisor: Supervisor) -> Played:
        plan, system = self.plan, self.system
        contract = load_contract(system.settings.workloads, WORKLOAD)
        wave = plan.wave(self.seed, self.at_most_s)
        with self.console.status("Making the weather"):
            cases = cases_of_wave(contract, wave)

        def goes_on() -> bool:
            supervisor.check()
            return not self.interruption.asked

        stage = Stage(
            contract=contract,
            plan=plan,
            cases=cases,
            wave_s=calm_cases(wave, cases) / plan.rate_per_s,
            wave=f"{wave.height_k:g} K within {wave.ramp_hours:g} hours",
            at_most_s=self.at_most_s,
            goes_on=goes_on,
        )
        with Telling(self.console) as telling:
            pace = f"{plan.rate_per_s:g} requests and {plan.hours_per_s:.1f} hours of weather a second"
            telling.line(0.0, "calm", f"{plan.stations} stations, {pace}; {system.api_url}")
            return asyncio.run(play(Connection.find(system.settings, system.api_url), stage, telling))


def _runs_already(settings: Settings) -> list[str]:
    state = RunState.read(settings.var)
    there = state.supervisor() if state else None
    return [] if there is None else [f"it runs already (process {there.pid}): stop it there with Ctrl-C"]


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
