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


# a tuple: a frozen dataclass takes two to three times as long to make, for each instance of a batch
class ArmAnswer(NamedTuple):
    """The answer of one arm about one instance: a row of `Predicted`, as it is sent and journalled.

    Attributes:
        prediction: the member of that name.
        region: the member that says how sure it is, named by `Target.region`; empty where there is none.
        coverage: nominal share of truths inside regions like this one.
        outlier_score: how far out the instance lies, see `training.runtime.outliers`; None if unknown.
        level: at which the region was made, so that it holds `coverage`; None where that is the same.
        members: of an ensemble, the answer of each member by its arm, as the journal keeps it.
        cached: whether the answer was found in the cache; None where none was looked for.
    """

    prediction: dict[str, Any]
    region: dict[str, Any]
    coverage: float
    outlier_score: float | None = None
    level: float | None = None
    members: dict[str, Any] | None = None
    cached: bool | None = None


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
        """Encode the target's array as what models learn, (n, outputs); NaN where the truth is unknown."""
        ...

    def fit_target_scaler(self, encoded: FloatArray) -> StandardScaler:
        """Fit the scaling of (n, outputs) under which models learn."""
        ...

    def uncalibrated(self, coverage: float) -> Calibration:
        """Return a calibration of a model that has none yet; its regions mean nothing."""
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

    def answers(self, predicted: Predicted, coverage: float) -> list[ArmAnswer]:
        """Make the answer of each instance, with the nominal coverage of its region."""
        ...

    def to_arrays(self, answer: ArmAnswer) -> dict[str, FloatArray]:
        """Return the arrays of one instance, without their first axis; inverse of `answers`."""
        ...

    def error(self, answer: ArmAnswer, truth: FloatArray) -> float:
        """Return the error of an answer, >= 0; NaN when nothing of the truth is known.

        Args:
            answer: about the instance.
            truth: of the instance, as `features.targets` has it.
        """
        ...

    def blend(self, parts: Sequence[Predicted], weights: FloatArray) -> Predicted:
        """Return the mean of what several models predict, by weights that sum to 1."""
        ...


def add_scores(
    answers: Sequence[ArmAnswer], scores: FloatArray, level: float | None = None
) -> list[ArmAnswer]:
    """Return the answers with an outlier score each, (n,), and the level at which all regions were made."""
    return [
        ArmAnswer(answer.prediction, answer.region, answer.coverage, score, level)
        for answer, score in zip(answers, scores.tolist(), strict=True)
    ]


def stack_answers(task: Task, answers: Sequence[ArmAnswer]) -> Predicted:
    """Return the arrays of which the answers were made, at least one; inverse of `Task.answers`."""
    arrays = [task.to_arrays(answer) for answer in answers]
    return Predicted({name: np.stack([one[name] for one in arrays]) for name in arrays[0]})
