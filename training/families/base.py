"""What a model family is: a search space, a fit and an export. One family a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Params = Mapping[str, Any]
# report(step, validation loss): raises nothing, may stop the trial from outside
Report = Callable[[int, float], None]


@dataclass(frozen=True)
class Split:
    """Scaled rows that a family learns from or is judged on.

    Attributes:
        x: (n, features) or (n, steps, features) float32, scaled.
        y: (n,) float32, scaled encoded target.
        weight: (n,) float32, mean 1.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    weight: NDArray[np.float32]


class Fitted(Protocol):
    """A trained model."""

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, [steps,] features) -> (n,)."""
        ...

    def to_onnx(self) -> bytes:
        """Serialised graph: input `x` float32 (batch, [steps,] features), output `y` float32 (batch, 1)."""
        ...


@runtime_checkable
class Family(Protocol):
    """One kind of model. It gets a part of a GPU, if there is one, when its attribute `uses_gpu` is true."""

    name: str
    iterative: bool  # whether `fit` reports more than once, so that ASHA can stop it early

    def search_space(self, trial: Any) -> None:
        """Define-by-run Optuna space: calls `trial.suggest_*`; the parameters are what was suggested."""
        ...

    def fit(self, params: Params, train: Split, valid: Split, seed: int, report: Report) -> Fitted:
        """Train; `valid` is for early stopping and reports only. Same seed, same model."""
        ...


def load_family(name: str) -> Family:
    """The `FAMILY` object of `training.families.<name>`, or of the module `name` when there is a dot in it.

    Raises:
        ValueError: no such family.
    """
    path = name if "." in name else f"training.families.{name}"
    try:
        module = import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not path.startswith(error.name):
            raise
        raise ValueError(f"families: got {name!r}, expected a module of training.families") from error
    return cast(Family, module.FAMILY)
