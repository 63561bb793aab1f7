"""The options of `raysonde replay` that make a stream of it."""

from __future__ import annotations

from typing import Annotated, Any

import typer


def _option(help_: str, **rules: Any) -> Any:
    return typer.Option(help=help_, rich_help_panel="As a stream", **rules)


BurstsOption = Annotated[bool, _option("Bursts with pauses.")]
RateOption = Annotated[float, _option("Requests/s in a burst.")]
ActiveOption = Annotated[float, _option("Length of a burst, s.")]
IdleOption = Annotated[float, _option("Pause between bursts, s.")]
StressOption = Annotated[float | None, _option("So many requests/s without a pause.", min=0.1, max=500)]
TruthDelayOption = Annotated[float, _option("From a request to its truth, s.", min=0)]
SingleTruthsOption = Annotated[bool, _option("Each truth in a call of its own.")]
DurationOption = Annotated[float | None, _option("Send requests for so long, s.", min=0)]
ArmOption = Annotated[str | None, _option("Ask this arm; else the system chooses.")]
