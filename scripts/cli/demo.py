"""The group `raysonde demo`: one command a demonstration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scripts.cli.common.groups import command_group
from scripts.launcher.profile import Profile

app = command_group(
    """Demonstrate the system, on one of its own beside any that runs. Example:

    raysonde demo heal
    """,
)


@app.callback()
def _demo() -> None: ...


@app.command()
def heal(
    folder: Annotated[Path | None, typer.Option(help="Where it lives and writes; else var/demo.")] = None,
    seed: Annotated[int, typer.Option(help="Of the weather.", min=0)] = 0,
    at_most: Annotated[float, typer.Option(help="Minutes of traffic until it has failed.", min=1)] = 10.0,
    short: Annotated[bool, typer.Option(help="Twice the traffic in half the time, for a test.")] = False,
    fresh: Annotated[bool, typer.Option(help="Train the first models again.")] = False,
    profile: Annotated[Profile, typer.Option(help="As of `raysonde up`.")] = Profile.PLAIN,
) -> None:
    """Show a heat wave that makes the models of `weather` wrong, and how the system heals itself.

    It takes about five minutes. It starts a system of its own, beside any that runs, with models that have
    seen only calm weather; the first time it trains them. Then stations ask, an hour of weather a time, and
    send what turned out to be true. Each step is printed as it happens; a picture and a list of all events
    are written. Examples:

        raysonde demo heal

        raysonde demo heal --seed 3 --folder /tmp/heal
    """
    from scripts.demo.heal import play_heal

    play_heal(folder, seed, at_most, short=short, fresh=fresh, profile=profile)
