"""The protocol of a task. Pure: it runs in the replicas that serve, and in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from features.scaling import StandardScaler

FloatArray = NDArray[np.float64]

# What models learn: numbers with an absolute error, or probabilities of classes.
Kind = Literal["numbers", "classes"]


class Calibration(BaseModel):
    """The widths of the regions around predictions, fitted on held-out data; each task has its own.

    Attributes:
        coverage: nominal share of truths inside.
    """

    coverage: float


@dataclass(frozen=True)
class Predicted:
    """Predictions with their regions: arrays with a row an instance, float64, named as the task has them."""

    arrays: Mapping[str, FloatArray]

    def __getitem__(self, name: str) -> FloatArray:
        return self.arrays[name]

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))


class Row(NamedTuple):
    """A prediction as it is answered.

    Attributes:
        prediction: the member of that name.
        region: the member that says how sure it is, named by `Target.region`; empty where there is none.
        coverage: nominal share of truths inside regions like this one.
        outlier_score: how far out the instance lies, see `training.runtime.outliers`; None if unknown.
        level: at which the region was made, so that it holds `coverage`; None where that is the same.
    """

    prediction: dict[str, Any]
    region: dict[str, Any]
    coverage: float
    outlier_score: float | None = None
    level: float | None = None

    @staticmethod
    def scored(rows: Sequence[Row], scores: FloatArray, level: float | None = None) -> list[Row]:
        """The rows with the score of each, and the level of all."""
        return [Row(*row[:3], score, level) for row, score in zip(rows, scores.tolist(), strict=True)]


class Task(Protocol):
    """Conversions between outputs of a model and predictions, and between truths and what a model learns.

    Attributes:
        kind: what models learn.
        output_names: of a model's outputs.
        groups: columns of the outputs that are the sides of one distance, and so share a scale.
    """

    kind: Kind
    output_names: tuple[str, ...]
    groups: tuple[tuple[int, ...], ...]

    def encode(self, target: FloatArray, anchors: FloatArray) -> FloatArray:
        """The target's array -> what a model learns, (n, outputs); NaN where the truth is not known."""
        ...

    def fit_target_scaler(self, encoded: FloatArray) -> StandardScaler:
        """The scaling of (n, outputs) under which models learn."""
        ...

    def uncalibrated(self, coverage: float) -> Calibration:
        """A calibration of a model that has none yet; its regions mean nothing."""
        ...

    def calibrate(
        self,
        outputs: FloatArray,
        target: FloatArray,
        anchors: FloatArray,
        coverage: float,
        group: NDArray[np.int64] | None = None,
    ) -> Calibration:
        """Fit the calibration to outputs (n, outputs) for held-out truths; each group counts alike."""
        ...

    def predict(
        self,
        outputs: FloatArray,
        anchors: FloatArray,
        calibration: Calibration,
        coverage: float | None = None,
    ) -> Predicted:
        """Return predictions of (n, outputs), at the calibration's coverage by default."""
        ...

    def tolerances(self, predicted: Predicted) -> Mapping[str, FloatArray]:
        """Return what a difference of each array is relative to, when two machines are compared."""
        ...

    def rows(self, predicted: Predicted, coverage: float) -> list[Row]:
        """Return the predictions as they are answered."""
        ...

    def of_row(self, row: Row) -> dict[str, FloatArray]:
        """Inverse of `rows`: the arrays of one instance, without their first axis."""
        ...

    def error(self, row: Row, truth: FloatArray) -> float:
        """Return the error of an answer, >= 0; NaN when nothing of the truth is known.

        Args:
            row: the answer.
            truth: of the instance, as `features.targets` has it.
        """
        ...

    def blend(self, parts: Sequence[Predicted], weights: FloatArray) -> Predicted:
        """The mean of what several models predict, by weights that sum to 1."""
        ...


def stack_rows(task: Task, rows: Sequence[Row]) -> Predicted:
    """Answers as the arrays that they were made of; inverse of `Task.rows`, at least one row."""
    arrays = [task.of_row(row) for row in rows]
    return Predicted({name: np.stack([one[name] for one in arrays]) for name in arrays[0]})
