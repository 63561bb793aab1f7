"""Tables of text, the same for a terminal and for a Markdown page."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rich import box
from rich.markup import escape
from rich.table import Table


@dataclass(frozen=True)
class TextTable:
    """A title, a header, and rows of as many cells; the first cell of each names the row."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def markdown(self, level: int = 3) -> str:
        """Return the table as Markdown, with the title as a heading of this level and the note above it."""
        lines = [self.header, ("---", *["---:"] * (len(self.header) - 1)), *self.rows]
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return "\n\n".join(part for part in (f"{'#' * level} {self.title}", self.note, table) if part)

    def rich(self, best: str = "") -> Table:
        """Return the table for a terminal, with the row named `best` in bold."""
        table = Table(title=escape(self.title), title_justify="left", box=box.SIMPLE_HEAD)
        for number, name in enumerate(self.header):
            table.add_column(escape(name), justify="right" if number else "left", no_wrap=not number)
        for row in self.rows:
            table.add_row(*map(escape, row), style="bold green" if row[0] == best else None)
        return table


def number(value: float) -> str:
    """Three digits, or whole from 100 on; a dash for NaN."""
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def share(count: int, of: int) -> str:
    """Return a share in % of a number, which stands behind it; a dash where that is 0."""
    return f"{100 * count / of:.1f} % of {of:,}" if of else "-"
