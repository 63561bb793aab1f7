"""Markdown pages: which there are, and their code blocks, links and anchors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from training.runtime.settings import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGES = (*sorted(REPOSITORY.glob("*.md")), *sorted(DOCS.rglob("*.md")))
# a block of code, and the path that stands alone on the line above it
_BLOCK = re.compile(
    r"(?:^`(?P<path>[^`\n]+)`\n\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
_LINK = re.compile(r"\]\((?!\w+://)(?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
_FENCE = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Link:
    """A link to a file of the repository; `anchor` is empty where it leads to the whole page."""

    path: Path
    anchor: str


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


def prose_of(page: Path) -> str:
    """Return the page without its code blocks."""
    return _FENCE.sub("", page.read_text())


def links_of(page: Path) -> list[Link]:
    """Return the links within the repository, in order."""
    found = _LINK.finditer(prose_of(page))
    return [Link((page.parent / (m["path"] or page.name)).resolve(), m["anchor"] or "") for m in found]


def anchors_of(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of the headings."""
    anchors: set[str] = set()
    for title in re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        repeated = sum(1 for known in anchors if known == anchor or re.fullmatch(rf"{anchor}-\d+", known))
        anchors.add(f"{anchor}-{repeated}" if repeated else anchor)
    return anchors
