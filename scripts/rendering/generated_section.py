"""A page that people and commands write together: a command's part lies between two marks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SectionMarkers:
    """The two lines around a part; HTML comments, which no reader sees."""

    begin: str
    end: str

    @classmethod
    def of(cls, command: str) -> SectionMarkers:
        """Return the markers of what a command writes."""
        return cls(f"<!-- measured by {command}: begin -->", f"<!-- measured by {command}: end -->")


def replace_part(before: str, part: str, markers: SectionMarkers, title: str) -> str:
    """Return the page with this part in place of the one that it had; what else is on it stays.

    Args:
        before: the page as it is, empty if there is none.
        part: Markdown.
        title: heading of a page that is empty.
    """
    whole = f"{markers.begin}\n\n{part}\n\n{markers.end}"
    head, begin, rest = before.partition(markers.begin)
    _, end, tail = rest.partition(markers.end)
    if begin and end:
        return f"{head}{whole}{tail}"
    return f"{before.rstrip() or title}\n\n{whole}\n"
