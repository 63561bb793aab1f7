"""Errors of predictions at set fractions of the time to the event that they are about."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scripts.replay.recordings import Recording

FloatArray = NDArray[np.float64]

FRACTIONS = (0.5, 0.6, 0.7, 0.8)
# slower logs are reported, but not in the figures that models are compared by
FAST_HZ = 10.0


@dataclass(frozen=True)
class TimedPrediction:
    """A prediction of a model or rule at the end of a case, with its truth.

    Attributes:
        arrays: of one instance, as `training.runtime.tasks` has them; a rule has no regions.
        target: of the instance, as `features.targets` has it; NaN where not known.
    """

    end_s: float
    arrays: Mapping[str, FloatArray]
    target: FloatArray

    @classmethod
    def of_number(
        cls,
        end_s: float,
        value: float,
        lower: float = math.nan,
        upper: float = math.nan,
        truth: float = math.nan,
    ) -> TimedPrediction:
        """About a number; NaN ends where there is no band."""
        numbers = {"prediction": value} | ({} if math.isnan(lower) else {"lower": lower, "upper": upper})
        arrays = {name: np.array(number, np.float64) for name, number in numbers.items()}
        return cls(end_s, arrays, np.array(truth, np.float64))

    @property
    def value(self) -> float:
        """The number predicted."""
        return float(self.arrays["prediction"])

    @property
    def lower(self) -> float:
        """Low end of the band around a number; NaN without one."""
        return float(self.arrays.get("lower", math.nan))

    @property
    def upper(self) -> float:
        """High end of the band around a number; NaN without one."""
        return float(self.arrays.get("upper", math.nan))

    @property
    def truth(self) -> float:
        """The true number."""
        return float(self.target)

    @property
    def known(self) -> bool:
        """Return whether anything of the truth is known."""
        return bool(np.isfinite(self.target).any())


# what each arm said, by recording and arm
Predictions = Mapping[Recording, Mapping[str, Sequence[TimedPrediction]]]


@dataclass(frozen=True)
class HorizonError:
    """The last prediction of one arm for one log at or before a fraction of the time to the event.

    `prediction` is None where there was none by then.
    """

    recording: Recording
    arm: str
    fraction: float
    prediction: TimedPrediction | None

    @property
    def ape_percent(self) -> float:
        """Absolute error in % of the truth; NaN without a prediction."""
        if self.prediction is None:
            return math.nan
        return 100 * abs(self.prediction.value - self.recording.truth) / abs(self.recording.truth)


def all_horizon_errors(predictions: Predictions) -> list[HorizonError]:
    """Return the errors of every recording and arm."""
    return [
        one
        for recording, by_arm in predictions.items()
        for arm, answers in by_arm.items()
        for one in horizon_errors(recording, arm, answers)
    ]


def horizon_errors(
    recording: Recording, arm: str, predictions: Sequence[TimedPrediction]
) -> list[HorizonError]:
    """Return the error at each fraction."""
    ordered = sorted(predictions, key=lambda p: p.end_s)
    errors = []
    for fraction in FRACTIONS:
        before = [p for p in ordered if p.end_s <= fraction * recording.event_s]
        errors.append(HorizonError(recording, arm, fraction, before[-1] if before else None))
    return errors


def median_ape_percent(
    errors: Iterable[HorizonError], arm: str, fraction: float, minimum_rate_hz: float = 0.0
) -> float:
    """Median over the logs of at least this rate; NaN when none has a prediction."""
    percents = [
        one.ape_percent
        for one in errors
        if one.arm == arm
        and one.fraction == fraction
        and one.prediction is not None
        and one.recording.rate_hz >= minimum_rate_hz
    ]
    return float(np.median(percents)) if percents else math.nan


def coverage_counts(predictions: Predictions, arm: str, minimum_rate_hz: float = 0.0) -> tuple[int, int]:
    """Return how many bands hold the truth, of how many, from the first fraction of the time to the event."""
    inside = of = 0
    for recording, by_arm in predictions.items():
        if recording.rate_hz < minimum_rate_hz:
            continue
        begin_s, end_s = FRACTIONS[0] * recording.event_s, recording.event_s
        used = [p for p in by_arm[arm] if begin_s <= p.end_s <= end_s]
        inside += sum(p.lower <= recording.truth <= p.upper for p in used)
        of += len(used)
    return inside, of


def best_arm(errors: Sequence[HorizonError], arms: Sequence[str]) -> str:
    """Return the arm with the lowest sum over the fractions of its median errors on the faster logs.

    An arm without an answer at some fraction comes last.
    """

    def total(arm: str) -> float:
        medians = [median_ape_percent(errors, arm, fraction, FAST_HZ) for fraction in FRACTIONS]
        return math.inf if any(math.isnan(m) for m in medians) else sum(medians)

    return min(arms, key=total)
