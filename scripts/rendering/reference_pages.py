"""The pages of `docs/reference/` that are made from the code, each with what people wrote around it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from typer.core import TyperGroup

from deployments.telemetry.metrics import docs_table
from scripts.rendering import cli_page, environment_page, workload_file_page
from scripts.rendering.generated_section import SectionMarkers, replace_part

COMMAND = "raysonde render docs"
FOLDER = Path("docs/reference")
_MARKS = SectionMarkers(f"<!-- {COMMAND}: begin -->", f"<!-- {COMMAND}: end -->")


def reference_files(repository: Path, commands: TyperGroup) -> Mapping[Path, str]:
    """Return the text that each page should have.

    Args:
        repository: whose pages; what is written by people is taken from there.
        commands: the root of the `raysonde` command.
    """
    parts = {
        "metrics.md": ("# Metrics", docs_table.markdown()),
        "workload-file.md": ("# The workload file", workload_file_page.markdown()),
        "environment.md": ("# Environment variables", environment_page.markdown()),
        "cli.md": ("# The command", cli_page.markdown(commands)),
    }
    folder = repository / FOLDER
    return {
        folder / name: replace_part(_text(folder / name), part, _MARKS, title)
        for name, (title, part) in parts.items()
    }


def _text(page: Path) -> str:
    return page.read_text() if page.is_file() else ""
