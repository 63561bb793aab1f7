"""Parameters of families without a search."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from training.families.base import load_family
from training.fitting.data import Params


def middle_params(families: Iterable[str]) -> dict[str, Params]:
    """Parameters for each family without a search: the middle of every range, the first of every choice."""
    found: dict[str, Params] = {}
    for name in families:
        trial = _MiddleTrial()
        load_family(name).search_space(trial)
        found[name] = trial.params
    return found


class _MiddleTrial:
    """Stands in for an Optuna trial."""

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self.params.setdefault(name, choices[0])

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        return int(self.params.setdefault(name, round(_middle(low, high, log))))

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return float(self.params.setdefault(name, _middle(low, high, log)))


def _middle(low: float, high: float, log: bool) -> float:
    return math.sqrt(low * high) if log else (low + high) / 2
