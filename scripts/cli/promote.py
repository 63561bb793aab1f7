"""`raysonde promote WORKLOAD ARM VERSION` and `raysonde rollback WORKLOAD ARM`: move an arm by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from scripts.cli.common.options import UrlOption, WorkloadsOption
from scripts.host.failure import exit_on, print_failure

if TYPE_CHECKING:
    from deployments.domain.promotion import Promotion
    from scripts.replay.client import WorkloadClient

_PERIOD_S = 0.5

_Workload = Annotated[str, typer.Argument(help="Which workload, for example weather.")]
_Arm = Annotated[str, typer.Argument(help="Which arm, for example gru.")]
_Note = Annotated[str, typer.Option("--reason", help="Why; it is kept.")]


def promote(
    workload: _Workload,
    arm: _Arm,
    version: Annotated[
        str | None, typer.Argument(help="Version of the registered model: raysonde models.")
    ] = None,
    abort: Annotated[
        bool, typer.Option("--abort", help="End the promotion that is under way; what serves goes on.")
    ] = False,
    reason: _Note = "",
    url: UrlOption = None,
    workloads: WorkloadsOption = None,
) -> None:
    """Have an arm serve a version, without a failed request and without further proof.

    New models prove themselves by themselves; this is for what they cannot know. Examples:

        raysonde models weather

        raysonde promote weather gru 3 --reason "trained for the new thermometers"

        raysonde promote weather gru --abort
    """
    if (version is None) != abort:
        raise typer.BadParameter("expected either a VERSION or --abort")
    if version is None:
        _run(workload, url, workloads, lambda client: _abort(client, arm, reason))
    else:
        _run(workload, url, workloads, lambda client: client.promote(arm, version, reason))


def rollback(
    workload: _Workload,
    arm: _Arm,
    reason: _Note = "",
    url: UrlOption = None,
    workloads: WorkloadsOption = None,
) -> None:
    """Have an arm serve the version before again, which is still loaded.

    For example:

        raysonde rollback weather gru --reason "it answers too high"
    """
    _run(workload, url, workloads, lambda client: client.roll_back(arm, reason))


async def _abort(client: WorkloadClient, arm: str, reason: str) -> Promotion:
    """End the promotion of an arm that is under way.

    Raises:
        ValueError: none is.
    """
    for there in await client.promotions():
        if there.arm == arm and there.is_open:
            return await client.abort(there.id, reason)
    raise ValueError(f"{arm}: no promotion is under way")


def _run(
    workload: str,
    url: str | None,
    workloads: WorkloadsOption,
    request: Callable[[WorkloadClient], Awaitable[Promotion]],
) -> None:
    import asyncio

    from features.config import load_contract
    from scripts.launcher.user_workloads import settings_with
    from scripts.replay.client import ApiError, Connection, WorkloadClient

    console = Console()
    settings = settings_with(workloads)

    async def follow() -> Promotion:
        contract = load_contract(settings.workloads, workload)
        async with Connection.find(settings, url).open() as http:
            client = WorkloadClient(http, workload, contract.target)
            requested = seen = await request(client)
            while seen.is_open and seen.state != "probation":
                await asyncio.sleep(_PERIOD_S)
                seen = await client.promotion(requested.id)
            return seen

    try:
        with exit_on(console, "nothing moved", ApiError, FileNotFoundError, ValueError):
            ended = asyncio.run(follow())
    except KeyboardInterrupt as error:
        raise typer.Exit(130) from error
    _print_outcome(console, ended)


def _print_outcome(console: Console, ended: Promotion) -> None:
    """Print what became of it.

    Raises:
        typer.Exit: nothing moved.
    """
    if ended.state in ("rejected", "superseded"):
        print_failure(console, "nothing moved", ended.reason or "")
        raise typer.Exit(1)
    if ended.state == "aborted":
        outcome = f"{ended.arm}: version {ended.model_version}: {ended.reason}"
        console.print(escape(outcome), highlight=False)
        return
    serving = ended.predecessor if ended.state == "rolled_back" else ended.candidate
    outcome = f"{ended.arm} serves version {serving.model_version}" if serving else ended.reason or ""
    console.print(escape(outcome), highlight=False)
