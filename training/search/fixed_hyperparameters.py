"""Parameters that a workload holds instead of having them searched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import optuna

from training.families.base import Family, load_family
from training.fitting.data import Params


def search_space_without(family: Family, fixed: Params) -> Callable[[Any], None]:
    """Return the family's search space, in which the parameters of `fixed` have one value each."""
    return partial(_suggest, family, dict(fixed))


def check_fixed(search: Mapping[str, Params]) -> None:
    """Check that families know the hyperparameters that section `training.search` fixes for them.

    Raises:
        ValueError: a family has no such parameter, or its values are of another type.
    """
    for name, fixed in search.items():
        family = load_family(name)
        free = optuna.create_study(sampler=optuna.samplers.RandomSampler(0)).ask()
        family.search_space(free)
        for parameter, value in fixed.items():
            if parameter not in free.params:
                known = ", ".join(free.params)
                raise ValueError(f"search.{name}: got {parameter!r}, expected one of {known}")
            kind = _kind(free.params[parameter])
            if _kind(value) != kind:
                raise ValueError(f"search.{name}.{parameter}: got {value!r}, expected a {kind}")


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "truth value"
    return "number" if isinstance(value, int | float) else "name"


def _suggest(family: Family, fixed: Params, trial: Any) -> None:
    family.search_space(_FixedTrial(trial, fixed))


@dataclass(frozen=True)
class _FixedTrial:
    """A trial that is asked for parameters, some of which are given."""

    trial: Any
    fixed: Params

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any:
        return self.trial.suggest_categorical(name, [self.fixed[name]] if name in self.fixed else choices)

    def suggest_int(self, name: str, low: int, high: int, **options: Any) -> Any:
        if name in self.fixed:
            return self.suggest_categorical(name, [])
        return self.trial.suggest_int(name, low, high, **options)

    def suggest_float(self, name: str, low: float, high: float, **options: Any) -> Any:
        if name in self.fixed:
            return self.suggest_categorical(name, [])
        return self.trial.suggest_float(name, low, high, **options)
