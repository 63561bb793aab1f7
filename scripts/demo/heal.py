"""The command `raysonde demo heal`: the weather changes, and the system detects, retrains and promotes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
import typer
from rich.console import Console

from scripts.demo.console import DemoConsole, steps_table
from scripts.demo.plan import SHORT, USUAL, HealPlan
from scripts.demo.play import Played, play
from scripts.demo.staging import demo_stage, plan_system, ready
from scripts.demo.workspace import Workspace
from scripts.host.failure import print_failure
from scripts.host.interruption import Interruption
from scripts.launcher.profile import Profile
from scripts.launcher.start_plan import Plan
from scripts.launcher.supervisor import Supervisor
from scripts.replay.client import Connection, Prediction
from training.runtime.settings import Settings

EVENTS = "demo-heal.json"


def play_heal(
    folder: Path | None, seed: int, at_most_min: float, *, short: bool, fresh: bool, profile: Profile
) -> None:
    """Play the demonstration from the start of its system to its picture.

    Args:
        folder: where it lives and writes; None: `demo` in the state folder.
        seed: of the weather.
        at_most_min: minutes of traffic until it has failed.
        short: twice the traffic in half the time.
        fresh: train the first models again.
        profile: how Serve is run.

    Raises:
        typer.Exit: it was cut off, has not healed, or could not be started.
    """
    console = Console()
    begun_s = time.monotonic()
    workspace = Workspace((folder or Settings.from_environment().var / "demo").resolve())
    plan = SHORT if short else USUAL
    settings = workspace.prepare(plan)
    with Interruption() as interruption:
        run = _Run(console, plan, seed, 60 * at_most_min, plan_system(settings, profile), interruption)
        with ready(console, workspace, run.system, interruption, begun_s, fresh=fresh) as supervisor:
            played = run.play(supervisor) if supervisor is not None else None
            is_whole = played is not None and (
                played.timeline.healed_s is not None or not interruption.requested
            )
            if played is not None and is_whole:
                run.report(workspace.folder, played)
    if not is_whole:
        console.print("Cut off.")
        raise typer.Exit(130)


@dataclass(frozen=True)
class _Run:
    """A run of the command.

    Attributes:
        at_most_s: the longest traffic.
        system: the one that is started.
    """

    console: Console
    plan: HealPlan
    seed: int
    at_most_s: float
    system: Plan
    interruption: Interruption

    def play(self, supervisor: Supervisor) -> Played:
        """Play against the system, which is ready.

        Raises:
            ChildDied: the system ends by itself.
        """

        def goes_on() -> bool:
            supervisor.check()
            return not self.interruption.requested

        plan, system = self.plan, self.system
        with self.console.status("Making the weather"):
            stage = demo_stage(system.settings, plan, self.seed, self.at_most_s, goes_on)
        with DemoConsole(self.console) as console:
            pace = f"{plan.rate_per_s:g} requests and {plan.hours_per_s:.1f} hours of weather a second"
            console.line(0.0, "calm", f"{plan.stations} stations, {pace}; {system.api_url}")
            return asyncio.run(play(Connection.find(system.settings, system.api_url), stage, console))

    def report(self, folder: Path, played: Played) -> None:
        """Write the picture and the events, and print a summary.

        Raises:
            typer.Exit: the system has not healed.
        """
        from scripts.demo.picture import draw  # matplotlib takes a second

        timeline, sent = played.timeline, played.streamed.sent
        picture = draw(folder, timeline, played.course, self.plan.rule)
        failed = sum(not isinstance(one.outcome, Prediction) for one in sent)
        summary = {
            "seed": self.seed,
            "healed": timeline.healed_s is not None,
            "calm_error": timeline.calm,
            "requests": len(sent),
            "failed_requests": failed,
            "steps_s": timeline.steps,
            "events": [asdict(event) for event in timeline.events],
        }
        path = folder / EVENTS
        path.write_bytes(orjson.dumps(summary, option=orjson.OPT_INDENT_2))
        self.console.print(steps_table(timeline))
        self.console.print(f"{len(sent):,} requests, {failed} of them failed.", highlight=False)
        self.console.print(f"Written: {picture}, {path}", highlight=False, soft_wrap=True)
        if timeline.healed_s is None:
            why = f"not within {self.at_most_s / 60:g} minutes: {timeline.missing}. {played.waits_for}"
            print_failure(self.console, "not healed", why)
            raise typer.Exit(1)
