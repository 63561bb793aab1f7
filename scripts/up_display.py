"""What `raysonde up` shows: the stage it is at, and where everything is once it runs."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.panel import Panel
from rich.status import Status
from rich.table import Table
from rich.text import Text

from features.config import load_contract
from scripts.plan import Plan


class StageDisplay:
    """One line that changes in place; where output is no terminal, a line for each new stage.

    Args:
        console: where to.
        begun_s: what elapsed time counts from, on the monotonic clock.
    """

    def __init__(self, console: Console, begun_s: float) -> None:
        self._console = console
        self._begun_s = begun_s
        self._status = Status("", console=console) if console.is_terminal else None
        self._last = ""

    def __enter__(self) -> StageDisplay:
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._status:
            self._status.stop()

    def show(self, text: str) -> None:
        """Show the stage that is under way."""
        line = f"{time.monotonic() - self._begun_s:4.0f} s  {text}"
        if self._status:
            self._status.update(Text(line))
        elif text != self._last:
            self._console.print(line, highlight=False)
        self._last = text


def write_examples(plan: Plan) -> Mapping[str, Path]:
    """Save each workload's example instance under `var/examples`, for a first `curl`; paths by workload."""
    written = {}
    for workload in plan.workloads:
        example = load_contract(plan.settings.workloads, workload).example
        if not example:
            continue
        path = plan.settings.var / "examples" / f"{workload}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(example))
        written[workload] = path
    return written


def ready_panel(plan: Plan, key: str, examples: Mapping[str, Path], took_s: float) -> Panel:
    """Where everything is."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("console and API", plan.api_url)
    for workload in plan.workloads:
        table.add_row(f"{workload}, documented", f"{plan.api_url}/{workload}/docs")
    table.add_row("key", f"{key}   (in {plan.settings.api_key_file})")
    token_file = shlex.quote(str(plan.settings.var / "ray-token"))
    table.add_row("Ray dashboard", f"{plan.dashboard_url}   (its token: cat {token_file})")
    table.add_row(
        "MLflow", f".venv/bin/mlflow ui --backend-store-uri {shlex.quote(plan.settings.registry_uri)}"
    )
    table.add_row("log", str(plan.log))
    for workload in plan.workloads:
        table.add_row("first request", _curl(plan, workload, examples.get(workload)))
    table.add_row("stop", "Ctrl-C")
    return Panel(table, title=f"raysonde is ready after {took_s:.0f} s", border_style="green", expand=False)


def _curl(plan: Plan, workload: str, example: Path | None) -> str:
    key = f'-H "Authorization: Bearer $(cat {shlex.quote(str(plan.settings.api_key_file))})"'
    if example is None:
        return f"curl -s {plan.api_url}/{workload}/info {key}"
    body = f"-H 'Content-Type: application/json' -d @{shlex.quote(str(example))}"
    return f"curl -s {plan.api_url}/{workload}/predict {key} {body}"
