"""The display of `raysonde up`: the present stage, and where everything is once it runs."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from deployments.http.auth import KEY_PARAMETER
from features.config import load_contract
from scripts.host.status_line import StatusLine
from scripts.launcher.serve_settings import ray_token_file, write_ray_commands_file
from scripts.launcher.start_plan import Plan
from training.runtime.settings import Settings, without_password


class StageDisplay(StatusLine):
    """A line that changes in place; where output is no terminal, a line for each new stage.

    Args:
        console: where to.
        begun_s: what elapsed time counts from, on the monotonic clock.
    """

    def __init__(self, console: Console, begun_s: float) -> None:
        super().__init__(console)
        self._begun_s = begun_s
        self._last = ""

    def show(self, text: str) -> None:
        """Show the stage that is under way."""
        line = f"{time.monotonic() - self._begun_s:4.0f} s  {text}"
        if not self.update(Text(line)) and text != self._last:
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


def show_ready(console: Console, plan: Plan, key: str, examples: Mapping[str, Path], took_s: float) -> None:
    """Tell where everything is, and what to copy into another terminal."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("console and API", plan.api_url)
    for workload in plan.workloads:
        table.add_row(f"{workload}, documented", f"{plan.api_url}/{workload}/docs")
    table.add_row("key", key)
    table.add_row("", f"in {plan.settings.api_key_file}")
    table.add_row("Ray dashboard", plan.dashboard_url)
    table.add_row("", f"its token is in {ray_token_file(plan.settings.var)}")
    table.add_row("log", str(plan.log))
    table.add_row("stop", "Ctrl-C")
    title = f"raysonde is ready after {took_s:.0f} s"
    console.print(Panel(table, title=title, border_style="green", expand=False))
    commands_file = write_ray_commands_file(plan.settings.var, plan.dashboard_url)
    # outside the frame, and not folded: to be copied
    commands = {
        "in a browser": f"{plan.api_url}/?{KEY_PARAMETER}={key}",
        "Ray's own commands": f". {shlex.quote(str(commands_file))} && {_program('serve')} status",
        "MLflow": f"{_program('mlflow')} ui --backend-store-uri {_registry(plan.settings)}",
    }
    for workload in plan.workloads:
        commands[f"a first request to {workload}"] = _curl(plan, workload, examples.get(workload))
    for name, command in commands.items():
        console.print(f"{name}:", style="bold", highlight=False)
        console.print(f"  {escape(command)}", soft_wrap=True, highlight=False)


def _program(name: str) -> str:
    """Return a program of this environment as a shell finds it from the current folder."""
    path, here = Path(sys.executable).with_name(name), Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def _registry(settings: Settings) -> str:
    """Return the registry's URI for a shell; a password stays where it is."""
    uri = settings.registry_uri
    return shlex.quote(uri) if without_password(uri) == uri else '"$RAYSONDE_REGISTRY_URI"'


def _curl(plan: Plan, workload: str, example: Path | None) -> str:
    key = f'-H "Authorization: Bearer $(cat {shlex.quote(str(plan.settings.api_key_file))})"'
    if example is None:
        return f"curl -s {plan.api_url}/{workload}/info {key}"
    body = f"-H 'Content-Type: application/json' -d @{shlex.quote(str(example))}"
    return f"curl -s {plan.api_url}/{workload}/predict {key} {body}"
