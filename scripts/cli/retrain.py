"""`raysonde retrain WORKLOAD`: have the running system train again, and see what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from scripts.cli.common.options import UrlOption, WorkloadsOption
from scripts.host.failure import exit_on

if TYPE_CHECKING:
    from deployments.domain.retraining import Retraining
    from features.contract import Contract
    from scripts.replay.client import Connection, WorkloadClient

_PERIOD_S = 1.0


def retrain(
    workload: Annotated[str, typer.Argument(help="Which workload, for example weather.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept with the models.")] = "",
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Tell what becomes of it, or only that it was asked for.")
    ] = True,
    url: UrlOption = None,
    workloads: WorkloadsOption = None,
) -> None:
    """Train again on what turned out to be true, beside the workload's own data, while the system serves.

    A new model that beats its arm's champion on the newest truths becomes its `challenger`; any other is
    archived, with the reason. Ctrl-C ends the telling, not the training. Examples:

        raysonde retrain calories

        raysonde retrain weather --reason "new thermometers" --no-wait
    """
    import asyncio

    from features.config import load_contract
    from scripts.launcher.user_workloads import settings_with
    from scripts.replay.client import ApiError, Connection

    console = Console()
    settings = settings_with(workloads)
    try:
        with exit_on(console, "not retrained", ApiError, FileNotFoundError, ValueError):
            contract = load_contract(settings.workloads, workload)
            asyncio.run(_retrain(console, contract, Connection.find(settings, url), reason, wait))
    except KeyboardInterrupt as error:
        raise typer.Exit(130) from error


async def _retrain(
    console: Console, contract: Contract, connection: Connection, reason: str, wait: bool
) -> None:
    from scripts.replay.client import WorkloadClient

    async with connection.open() as http:
        client = WorkloadClient(http, contract.workload, contract.target)
        retraining = await client.retrain(reason)
        merged = len(retraining.requests) > 1
        outcome = "merged into" if merged else "asked for: "
        console.print(f"{outcome} retraining {retraining.id}", highlight=False)
        if wait:
            await follow(console, client, retraining)


async def follow(
    console: Console, client: WorkloadClient, retraining: Retraining, period_s: float = _PERIOD_S
) -> None:
    """Print each change until the end.

    Raises:
        ApiError: the system is gone.
        typer.Exit: the retraining failed.
    """
    import asyncio

    printed = ""
    while True:
        state = _state(retraining)
        if state != printed:
            console.print(state, highlight=False, soft_wrap=True)
            printed = state
        if not retraining.is_open:
            break
        await asyncio.sleep(period_s)
        retraining = await client.retraining(retraining.id)
    for arm, result in retraining.arms.items():
        word = "[green]challenger[/]" if result.passed else "[yellow]archived[/]"
        reasons = escape(" ".join(result.reasons))
        console.print(f"{arm} {result.model_version}: {word}. {reasons}", highlight=False, soft_wrap=True)
    if retraining.state == "failed":
        raise typer.Exit(1)


def _state(retraining: Retraining) -> str:
    if retraining.state == "waiting":
        return f"waiting: {escape(retraining.waits_for or 'for the lifecycle controller')}"
    if retraining.state == "failed":
        return f"[red]failed:[/] {escape(retraining.failure or '')}"
    if retraining.state == "done":
        return "done"
    return f"running, attempt {len(retraining.attempts)}"
