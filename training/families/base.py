"""What a model family is: a search space, a fit and an export. One family a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from training.families.runs import Run
from training.runtime.tasks.base import Kind

Params = Mapping[str, Any]
# report(step, validation loss): raises nothing, may stop the trial from outside
Report = Callable[[int, float], None]


@dataclass(frozen=True)
class Split:
    """Scaled rows that a family learns from or is judged on.

    Attributes:
        x: (n, features) or (n, steps, features) float32, scaled.
        y: (n, outputs) float32. Numbers: the scaled encoded target, NaN where it is not known. Classes:
            1 in the column of the row's class, 0 in the others.
        weight: (n,) float32, mean 1.
        kind: what the outputs are.
        groups: columns of `y` that are the sides of one distance, in one scale; the others stand alone.
        features: names of the last axis of `x`, where they are known.

    Raises:
        ValueError: `y` is not a table of as many rows as `x`.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    weight: NDArray[np.float32]
    kind: Kind = "numbers"
    groups: tuple[tuple[int, ...], ...] = ()
    features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.y.ndim != 2 or len(self.y) != len(self.x):
            raise ValueError(f"y: got the shape {self.y.shape}, expected ({len(self.x)}, outputs)")

    def known(self) -> Split:
        """The rows of which every output is known."""
        rows = ~np.isnan(self.y).any(axis=1)
        if rows.all():
            return self
        return replace(self, x=self.x[rows], y=self.y[rows], weight=self.weight[rows])


class Fitted(Protocol):
    """A trained model."""

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, [steps,] features) -> (n, outputs): numbers, or probabilities of the classes that sum to 1."""
        ...

    def to_onnx(self) -> bytes:
        """Serialised graph: `x` float32 (batch, [steps,] features) to `y` float32 (batch, outputs)."""
        ...


@runtime_checkable
class Family(Protocol):
    """One kind of model.

    It gets a part of a GPU, if there is one, when its attribute `uses_gpu` is true. One whose attribute
    `resumable` is true is a `ResumableFamily`.
    """

    name: str
    iterative: bool  # whether `fit` reports more than once, so that ASHA can stop it early

    def search_space(self, trial: Any) -> None:
        """Define-by-run Optuna space: calls `trial.suggest_*`; the parameters are what was suggested."""
        ...

    def fit(self, params: Params, train: Split, valid: Split, seed: int, report: Report) -> Fitted:
        """Train; `valid` is for early stopping and reports only. Same seed, same model.

        Reports `training.families.losses.loss_of` on `valid`.

        Raises:
            ValueError: the family cannot learn a target of this kind, or of so many outputs.
        """
        ...


class ResumableFamily(Protocol):
    """A family whose fit goes on after a kill, and can be spread over several workers."""

    name: str
    iterative: bool
    resumable: bool

    def fit(self, params: Params, train: Split, valid: Split, seed: int, report: Report, run: Run) -> Fitted:
        """See `Family.fit`; the model is the same for any `run`."""
        ...


def resumable(family: Family) -> ResumableFamily | None:
    """The same family, if it can go on."""
    return cast(ResumableFamily, family) if getattr(family, "resumable", False) else None


def expect_numbers(family: str, split: Split, most: int | None = None) -> None:
    """For families that learn numbers only, `most` outputs at most.

    Raises:
        ValueError: the target is something else.
    """
    if split.kind != "numbers":
        raise ValueError(f"{family}: got a target of {split.kind}, expected numbers")
    if most is not None and split.y.shape[1] > most:
        raise ValueError(f"{family}: got a target of {split.y.shape[1]} outputs, expected at most {most}")


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
