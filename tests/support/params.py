"""Families, and parameters of them without a search."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from training.families.base import Family, load_family
from training.fitting.data import Params

TABULAR = ("mlp", "random_forest", "linear", "gradient_boosting")


def middle_params(families: Iterable[str]) -> dict[str, Params]:
    """Parameters for each family without a search: the middle of every range, the first of every choice."""
    return {name: suggested(load_family(name)) for name in families}


def suggested(family: Family) -> dict[str, Any]:
    """Parameters of one family, in the same way."""
    trial = _MiddleTrial()
    family.search_space(trial)
    return trial.params


def brief(family: Family) -> dict[str, Any]:
    """The same with a quarter of the trees that are boosted: enough for what tests ask of a model."""
    params = suggested(family)
    return params | {"trees": min(params["trees"], 100)} if "trees" in params else params


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
