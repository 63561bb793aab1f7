"""Classification: calibrated probabilities, and sets of classes that hold the truth so often.

Sources: Guo, Pleiss, Sun and Weinberger (2017), "On calibration of modern neural networks" (one temperature
for all classes); Sadinle, Lei and Wasserman (2019), "Least ambiguous set-valued classifiers with bounded
error levels" (a class belongs to the set when its probability is not below a conformal threshold).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from features.scaling import StandardScaler
from features.targets import ClassTarget
from training.runtime.tasks.base import ArmAnswer, Calibration, Kind, Predicted
from training.runtime.tasks.intervals import conformal_quantiles, score_at

FloatArray = NDArray[np.float64]

# No model is surer than this: a probability of 0 would make one mistake infinitely bad.
_LEAST_PROBABILITY = 1e-6
_TEMPERATURES = np.geomspace(0.2, 5.0, 65)


class ClassCalibration(Calibration):
    """The temperature of the probabilities, and the threshold of the sets by coverage.

    Attributes:
        temperature: the logarithms of the probabilities are divided by it.
        levels: increasing shares of truths inside.
        scores: for each, how improbable a class of the set may be: 1 - its probability.
    """

    model_config = ConfigDict(frozen=True)

    temperature: float = Field(gt=0)
    levels: tuple[float, ...]
    scores: tuple[float, ...]

    def threshold(self, coverage: float | None) -> float:
        """Return the least probability of a class in a set."""
        return 1 - score_at(self.levels, self.scores, self.coverage if coverage is None else coverage)


class ClassificationTask:
    """The `training.runtime.tasks.base.Task`.

    Arrays, both (n, classes): `probability`, and `member`, 1 for each class of the set.
    """

    kind: Kind = "classes"
    groups: tuple[tuple[int, ...], ...] = ()

    def __init__(self, target: ClassTarget) -> None:
        self._target = target
        self.output_names = target.classes

    def encode(self, target: FloatArray, anchors: FloatArray) -> FloatArray:
        """1 for the class that it is, else 0; see `Task.encode`."""
        encoded = np.equal(target[:, None], np.arange(len(self.output_names))).astype(np.float64)
        encoded[np.isnan(target)] = np.nan
        return np.asarray(encoded)

    def fit_target_scaler(self, encoded: FloatArray) -> StandardScaler:
        """Probabilities are learnt as they are."""
        width = len(self.output_names)
        return StandardScaler(
            names=self.output_names, mean=(0.0,) * width, scale=(1.0,) * width, count=len(encoded)
        )

    def uncalibrated(self, coverage: float) -> ClassCalibration:
        """Return a calibration without data; see `Task.uncalibrated`."""
        return ClassCalibration(coverage=coverage, temperature=1.0, levels=(0,), scores=(0,))

    def calibrate(
        self,
        outputs: FloatArray,
        target: FloatArray,
        anchors: FloatArray,
        coverage: float,
        group: NDArray[np.int64] | None = None,
    ) -> ClassCalibration:
        """Fit the temperature with the least log loss, and the thresholds at it; see `Task.calibrate`."""
        truth = target.astype(np.int64)
        rows = np.arange(len(truth))
        losses = [-np.log(_tempered(outputs, t)[rows, truth]).mean() for t in _TEMPERATURES]
        temperature = float(_TEMPERATURES[int(np.argmin(losses))])
        score = 1 - _tempered(outputs, temperature)[rows, truth]
        levels, scores = conformal_quantiles(score, coverage, group)
        return ClassCalibration(coverage=coverage, temperature=temperature, levels=levels, scores=scores)

    def predict(
        self,
        outputs: FloatArray,
        anchors: FloatArray,
        calibration: Calibration,
        coverage: float | None = None,
    ) -> Predicted:
        """Predict; see `Task.predict`. A set holds the most probable class at least."""
        assert isinstance(calibration, ClassCalibration)
        probability = _tempered(outputs, calibration.temperature)
        return self._with_sets(probability, calibration.threshold(coverage))

    def tolerances(self, predicted: Predicted) -> Mapping[str, FloatArray]:
        """Probabilities by themselves; a set may differ where a probability is just at the threshold."""
        ones = np.ones_like(predicted["probability"])
        return {"probability": ones, "member": ones * np.inf}

    def answers(self, predicted: Predicted, coverage: float) -> list[ArmAnswer]:
        """Return the most probable class, its probability and that of all; see `Task.answers`."""
        name, classes = self._target.name, self._target.classes
        found = []
        for probability, member in zip(
            predicted["probability"].tolist(), predicted["member"].tolist(), strict=True
        ):
            best = probability.index(max(probability))
            prediction = {
                name: classes[best],
                "probability": probability[best],
                "probabilities": dict(zip(classes, probability, strict=True)),
            }
            inside = [one for one, is_in in zip(classes, member, strict=True) if is_in]
            found.append(ArmAnswer(prediction, {name: inside}, coverage))
        return found

    def to_arrays(self, answer: ArmAnswer) -> dict[str, FloatArray]:
        """Return an answer as arrays; see `Task.to_arrays`."""
        inside = answer.region[self._target.name]
        classes = self._target.classes
        return {
            "probability": np.array([answer.prediction["probabilities"][one] for one in classes]),
            "member": np.array([float(one in inside) for one in classes]),
        }

    def error(self, answer: ArmAnswer, truth: FloatArray) -> float:
        """Return 1 minus the probability of the true class."""
        if np.isnan(truth):
            return np.nan
        return 1 - float(answer.prediction["probabilities"][self._target.classes[int(truth)]])

    def blend(self, parts: Sequence[Predicted], weights: FloatArray) -> Predicted:
        """Return the mean of the probabilities; a class is in the set when it is in most sets, by weight."""
        probability = np.tensordot(weights, np.stack([part["probability"] for part in parts]), axes=1)
        member = np.tensordot(weights, np.stack([part["member"] for part in parts]), axes=1) >= 0.5
        return Predicted({"probability": probability, "member": _with_best(member, probability)})

    def _with_sets(self, probability: FloatArray, threshold: float) -> Predicted:
        member = _with_best(probability >= threshold, probability)
        return Predicted({"probability": probability, "member": member})


def _with_best(member: NDArray[np.bool_], probability: FloatArray) -> FloatArray:
    """(n, classes) as 0 and 1, the most probable class always in."""
    found = member.astype(np.float64)
    found[np.arange(len(found)), probability.argmax(axis=1)] = 1.0
    return found


def _tempered(probability: FloatArray, temperature: float) -> FloatArray:
    """(n, classes) probabilities at this temperature, none of them 0."""
    powered = np.clip(probability, _LEAST_PROBABILITY, 1.0) ** (1 / temperature)
    clipped = np.clip(powered / powered.sum(axis=1, keepdims=True), _LEAST_PROBABILITY, 1.0)
    return np.asarray(clipped / clipped.sum(axis=1, keepdims=True))
