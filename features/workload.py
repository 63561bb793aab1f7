"""What the Python module of a workload provides, beside its YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from features.contract import Contract

FloatArray = NDArray[np.float64]


@runtime_checkable
class Workload(Protocol):
    """Pure functions from raw instances to features, and between a model's output and target units.

    A raw batch has shape (n, *contract.raw_shape). Features are float64: (n, len(feature_names)), or for
    sequence models (n, steps, len(feature_names)). Anchors are feature columns (of the last step), unscaled,
    that the target transform and the interval scale need.
    """

    feature_names: tuple[str, ...]
    anchor_names: tuple[str, ...]

    def features(self, raw: FloatArray) -> FloatArray:
        """(n, *raw_shape) -> (n, [steps,] features). Finite for every raw batch that the contract admits."""
        ...

    def encode_target(self, target: FloatArray, anchors: FloatArray) -> FloatArray:
        """Target units (n,) -> what a model learns (n,)."""
        ...

    def decode_target(self, encoded: FloatArray, anchors: FloatArray) -> FloatArray:
        """Inverse of `encode_target`, non-decreasing in `encoded`: bands are decoded end by end."""
        ...

    def interval_scale(self, anchors: FloatArray) -> FloatArray:
        """The variable (n,) along which the width of a band is calibrated, for example time in flight."""
        ...

    def baselines(self, features: FloatArray) -> Mapping[str, FloatArray]:
        """Predictions (n,) in target units of the rules that a model has to beat, by name."""
        ...


def load_workload(contract: Contract) -> Workload:
    """The `WORKLOAD` object of the contract's module.

    Raises:
        TypeError: the module has none, or it lacks a part of the protocol.
    """
    module = import_module(contract.module)
    found = getattr(module, "WORKLOAD", None)
    if not isinstance(found, Workload):
        raise TypeError(
            f"{contract.module}.WORKLOAD: got {type(found).__name__}, expected a features.workload.Workload"
        )
    return found


def anchors_of(workload: Workload, features: FloatArray) -> FloatArray:
    """The anchor columns of features, (n, anchors); of a sequence those of its last step."""
    last = features if features.ndim == 2 else features[:, -1]
    return last[:, [workload.feature_names.index(name) for name in workload.anchor_names]]
