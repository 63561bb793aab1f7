"""Files of the repository that are made from others: written, or only compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape


def stale(files: Mapping[Path, str]) -> list[Path]:
    """Return the files that do not hold the text that they should."""
    return [path for path, text in files.items() if not path.is_file() or path.read_text() != text]


def settle(console: Console, files: Mapping[Path, str], *, check: bool, command: str) -> None:
    """Write what is stale, or, with `check`, say what is and write nothing.

    Args:
        console: for a line a file.
        files: their texts.
        check: see above.
        command: that renders them, for the message.

    Raises:
        typer.Exit: 1, when something is stale and was to be checked.
    """
    changed = stale(files)
    for path in changed:
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path])
        word = "[bold red]stale:[/]" if check else "written:"
        console.print(f"{word} {escape(str(path))}", highlight=False, soft_wrap=True)
    if changed and check:
        console.print(f"`{command}` writes them again.", highlight=False)
        raise typer.Exit(1)
    if not changed:
        console.print("nothing is stale", highlight=False)
