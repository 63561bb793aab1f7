"""Calories burnt in a workout.

A published formula of sports medicine (Keytel et al. 2005) gives an estimate from heart rate, weight and age.
A model then learns the logarithm of the calories, plus 1, over that estimate, plus 1: its errors are those
of log(1 + kcal), whose root mean square is the RMSLE.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Keytel et al. 2005, "Prediction of energy expenditure from heart rate monitoring during submaximal
# exercise", Journal of Sports Sciences 23(3), the equations without VO2max, in kJ/min: constant, heart
# rate in 1/min, weight in kg, age in years.
KEYTEL_FEMALE = (-20.4022, 0.4472, -0.1263, 0.074)
KEYTEL_MALE = (-55.0969, 0.6309, 0.1988, 0.2017)
KJ_PER_KCAL = 4.184
# About half of what a small person burns at rest: below it the formula, made for exercise, means nothing.
MIN_RATE_KCAL_PER_MIN = 0.5

# Beyond this a log ratio is no longer a workout.
_MAX_LOG_RATIO = 3.0

_FEATURES = (
    "male",  # 1, or 0 for female
    "age_years",
    "height_cm",
    "weight_kg",
    "duration_min",
    "heart_rate_per_min",
    "body_temp_degc",
    "log_duration",
    "log_rate",  # of the formula, kcal/min
    "log_estimate",  # log(1 + kcal) of the formula
    "heart_share",  # what the terms of the formula contribute to its rate
    "weight_share",
    "age_share",
)


class CaloriesWorkload:
    """The `features.workload.Workload` of calories."""

    feature_names = _FEATURES
    anchor_names = ("log_estimate",)

    def features(self, raw: FloatArray) -> FloatArray:
        """(n, 7) -> (n, 13)."""
        raw = np.asarray(raw, dtype=np.float64)
        male, age, height, weight, duration, heart_rate, body_temp = raw.T
        constant, *slopes = np.where(male[:, None] > 0.5, KEYTEL_MALE, KEYTEL_FEMALE).T / KJ_PER_KCAL
        terms = [slope * value for slope, value in zip(slopes, (heart_rate, weight, age), strict=True)]
        rate = np.maximum(constant + sum(terms), MIN_RATE_KCAL_PER_MIN)
        columns = (
            male,
            age,
            height,
            weight,
            duration,
            heart_rate,
            body_temp,
            np.log(duration),
            np.log(rate),
            np.log1p(rate * duration),
            *(term / rate for term in terms),
        )
        return np.column_stack(columns)

    def encode_target(self, target: FloatArray, anchors: FloatArray) -> FloatArray:
        """log(1 + kcal) less that of the formula, within +-3."""
        return np.asarray(np.clip(np.log1p(target) - anchors[:, 0], -_MAX_LOG_RATIO, _MAX_LOG_RATIO))

    def decode_target(self, encoded: FloatArray, anchors: FloatArray) -> FloatArray:
        """Calories in kcal."""
        return np.asarray(np.expm1(np.clip(encoded, -_MAX_LOG_RATIO, _MAX_LOG_RATIO) + anchors[:, 0]))

    def interval_scale(self, anchors: FloatArray) -> FloatArray:
        """log(1 + kcal) of the formula: rounding to whole kcal counts for much in a short workout."""
        return anchors[:, 0]

    def baselines(self, features: FloatArray) -> Mapping[str, FloatArray]:
        """`keytel_2005`: the published formula as it stands."""
        return {"keytel_2005": np.expm1(features[:, _FEATURES.index("log_estimate")])}


WORKLOAD = CaloriesWorkload()
