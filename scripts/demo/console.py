"""The events as lines in a terminal: elapsed time, title, and the numbers that matter."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from deployments.domain.drift_state import SETTLED_STATES
from scripts.demo.observations import Event
from scripts.demo.timeline import STEPS, Timeline
from scripts.host.status_line import StatusLine

_TITLES = {
    "wave": "[bold yellow]heat wave[/]",
    "high": "[bold yellow]error up[/]",
    "drifting": "[bold red]drift[/]",
    "ok": "[green]no drift[/]",
    "asked": "[bold]retraining[/]",
    "job": "[bold]job[/]",
    "passed": "[green]gate: passed[/]",
    "archived": "[yellow]gate: archived[/]",
    "done": "[bold]job done[/]",
    "failed": "[bold red]job failed[/]",
    "shadowing": "[cyan]shadow[/]",
    "better": "[cyan]shadow[/]",
    "promoting": "[cyan]promotion[/]",
    "probation": "[bold green]promoted[/]",
    "kept": "[green]kept[/]",
    "healed": "[bold green]healed[/]",
}


class DemoConsole(StatusLine):
    """A console whose last line, in a terminal, has the present state."""

    def event(self, event: Event) -> None:
        """Print an event."""
        subject = f"{event.subject}: " if event.kind in SETTLED_STATES else ""
        self.line(event.at_s, _TITLES.get(event.kind, event.kind), f"{subject}{event.text}")

    def line(self, at_s: float, title: str, text: str) -> None:
        """Print a line; the title is markup."""
        grid = Table.grid(padding=(0, 1))
        grid.add_column(justify="right", style="dim", width=8)
        grid.add_column(width=15, no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(f"{at_s:6.1f} s", title, escape(text))
        self._console.print(grid, highlight=False)

    def state(self, at_s: float, answers: int, error: float | None, unit: str) -> None:
        """Show the present state."""
        newest = "" if error is None else f", error of the newest {error:.2f} {unit}"
        self.update(f"{at_s:6.0f} s  {answers:,} answers{newest}")


def steps_table(timeline: Timeline) -> Table:
    """Make a table of the times at which each step was taken."""
    table = Table(title="The loop", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("step")
    table.add_column("at, s", justify="right")
    table.add_column("after the wave began, s", justify="right")
    wave_s = timeline.first("wave") or 0.0
    for kind, words in STEPS.items():
        at_s = timeline.first(kind)
        cells = ("-", "-") if at_s is None else (f"{at_s:.0f}", f"{at_s - wave_s:.0f}")
        table.add_row(words, *cells)
    return table
