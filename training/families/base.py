"""The protocol of a model family: a search space, a fit and an export. One family a file."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from training.fitting.data import Params, Report, Split
from training.fitting.runs import Run

__all__ = [
    "Family",
    "Fitted",
    "Params",
    "Report",
    "ResumableFamily",
    "Split",
    "expect_numbers",
    "load_family",
    "resumable",
]


class Fitted(Protocol):
    """A trained model."""

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, [steps,] features) -> (n, outputs): numbers, or probabilities of the classes that sum to 1."""
        ...

    def to_onnx(self) -> bytes:
        """Return the graph: `x` float32 (batch, [steps,] features) to `y` float32 (batch, outputs)."""
        ...


@runtime_checkable
class Family(Protocol):
    """A kind of model.

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

        Reports `training.fitting.losses.split_loss` on `valid`.

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
        """Fit a model; see `Family.fit`; the model is the same for any `run`."""
        ...


def resumable(family: Family) -> ResumableFamily | None:
    """Return the family as a resumable one; None if its fits cannot go on."""
    return cast(ResumableFamily, family) if getattr(family, "resumable", False) else None


def expect_numbers(family: str, split: Split, most: int | None = None) -> None:
    """Check that the target is numbers, with `most` outputs at most.

    Raises:
        ValueError: the target is something else.
    """
    if split.kind != "numbers":
        raise ValueError(f"{family}: got a target of {split.kind}, expected numbers")
    if most is not None and split.y.shape[1] > most:
        raise ValueError(f"{family}: got a target of {split.y.shape[1]} outputs, expected at most {most}")


def load_family(name: str) -> Family:
    """Load the `FAMILY` of `training.families.<name>`, or of the module `name` when there is a dot in it.

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
