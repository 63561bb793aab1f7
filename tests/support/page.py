"""Code blocks of the Markdown pages under docs, so that tests can do what a page says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

# a block of code, and the path that stands alone on the line above it
_BLOCK = re.compile(
    r"(?:^`(?P<path>[^`\n]+)`\n\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Block:
    """One block; `path` is that of a file whose name stands alone on the line above it, else empty."""

    path: str
    language: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    """All blocks, in order."""
    found = _BLOCK.finditer(page.read_text())
    return [Block(match["path"] or "", match["language"], match["text"]) for match in found]


def block_with(blocks: list[Block], start: str) -> str:
    """The text of the only block that begins so."""
    (found,) = [block.text for block in blocks if block.text.startswith(start)]
    return found


def write_files(blocks: list[Block], folder: Path) -> list[Path]:
    """Write each block that is a file under `folder`."""
    written = []
    for block in blocks:
        if block.path:
            path = folder / block.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
            written.append(path)
    return written
