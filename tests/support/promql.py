"""What PromQL expressions ask for, as far as tests need it: their selectors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from training.runtime.settings import REPOSITORY

RULES = REPOSITORY / "configs" / "prometheus" / "rules"

# aggregations stand before their `by`
_KEYWORDS = frozenset(("and", "or", "unless", "offset", "bool", "sum", "max", "min", "avg", "count"))
# strings, ranges and lists of labels stand before names, so that what they hold is none
_TOKEN = re.compile(
    r'"[^"]*"|\[[^\]]*\]'
    r"|\b(?:by|without|on|ignoring|group_left|group_right)\b(?:\s*\([^)]*\))?"
    r"|(?P<name>[a-zA-Z_:][\w:]*)(?P<matchers>\{[^}]*\})?(?P<call>\s*\()?"
)
_LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")


@dataclass(frozen=True)
class Selector:
    """A name with its matchers, as they stand there."""

    name: str
    matchers: str

    @property
    def labels(self) -> set[str]:
        return set(_LABEL.findall(re.sub(r'"[^"]*"', '""', self.matchers)))

    def __str__(self) -> str:
        return self.name + self.matchers


def selectors(expr: str) -> list[Selector]:
    """All of an expression, in order."""
    found = _TOKEN.finditer(expr)
    return [
        Selector(token["name"], token["matchers"] or "")
        for token in found
        if token["name"] and not token["call"] and token["name"] not in _KEYWORDS
    ]


def rules(path: Path = RULES) -> Iterator[dict[str, Any]]:
    """All rules of a folder: alerts have a member `alert`, recordings `record`."""
    for file in sorted(path.glob("*.yml")):
        for group in yaml.safe_load(file.read_text())["groups"]:
            yield from group["rules"]
