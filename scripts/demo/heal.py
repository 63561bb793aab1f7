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

from scripts.client import Connection
from scripts.demo.home import Home
from scripts.demo.plan import SHORT, USUAL, HealPlan
from scripts.demo.play import Played, Stage, play
from scripts.demo.staging import ready, stage_of, system_of
from scripts.demo.telling import Telling, steps_table
from scripts.interruption import Interruption
from scripts.serve_settings import Profile
from training.settings import Settings

EVENTS = "demo-heal.json"


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
    with Interruption() as interruption:
        system = system_of(settings, profile)
        played = None
        with ready(console, home, system, interruption, begun_s, fresh=fresh) as supervisor:

            def goes_on() -> bool:
                supervisor.check()
                return not interruption.asked

            if goes_on():
                with console.status("Making the weather"):
                    stage = stage_of(settings, plan, seed, 60 * at_most, goes_on)
                played = _play(console, Connection.find(settings, system.api_url), stage)
        if played is None or (interruption.asked and played.story.healed_s is None):
            console.print("Cut off.")
            raise typer.Exit(130)
    _tell_end(console, home.folder, plan, seed, played)


def _play(console: Console, connection: Connection, stage: Stage) -> Played:
    """Raises ChildDied when the system ends by itself."""
    plan = stage.plan
    with Telling(console) as telling:
        pace = f"{plan.rate_per_s:g} requests a second, {plan.hours_per_s:.1f} hours of weather"
        telling.line(0.0, "calm", f"{plan.stations} stations, {pace}; {connection.url}")
        return asyncio.run(play(connection, stage, telling))


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
