"""Area of a rectangle. The target is learnt as the ratio to the product of the sides plus one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class ToyWorkload:
    feature_names = ("length_m", "width_m", "product_m2", "noise")
    anchor_names = ("product_m2",)

    def features(self, raw: FloatArray) -> FloatArray:
        return np.column_stack([raw[:, 0], raw[:, 1], raw[:, 0] * raw[:, 1], raw[:, 2]])

    def encode_target(self, target: FloatArray, anchors: FloatArray) -> FloatArray:
        return np.asarray(target / (anchors[:, 0] + 1))

    def decode_target(self, encoded: FloatArray, anchors: FloatArray) -> FloatArray:
        return np.asarray(encoded * (anchors[:, 0] + 1))

    def interval_scale(self, anchors: FloatArray) -> FloatArray:
        return anchors[:, 0]

    def baselines(self, features: FloatArray) -> Mapping[str, FloatArray]:
        return {"product": features[:, 2]}


WORKLOAD = ToyWorkload()
