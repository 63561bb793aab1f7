"""Writes the table of all metrics into the page about them: `python -m scripts.rendering.metrics_table`."""

from __future__ import annotations

from pathlib import Path

from deployments.telemetry.metrics.docs_table import markdown
from scripts.rendering.generated_section import Marks, replace_part
from training.runtime.settings import REPOSITORY

PAGE = Path("docs/reference/metrics.md")

_MARKS = Marks(
    "<!-- python -m scripts.rendering.metrics_table: begin -->",
    "<!-- python -m scripts.rendering.metrics_table: end -->",
)


def renewed(page: str) -> str:
    """The page with the table as the metrics are declared now."""
    return replace_part(page, markdown(), _MARKS, "# Metrics")


def main() -> None:
    """Renew the page of this checkout."""
    path = REPOSITORY / PAGE
    path.write_text(renewed(path.read_text()))


if __name__ == "__main__":
    main()
