"""The Python module of a workload, beside its YAML file."""

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
    """Pure functions from raw instances to features. One whose target is no class is a `Transform` as well.

    A raw batch has shape (n, *contract.raw_shape). Features are float64: (n, len(feature_names)), or for
    sequence models (n, steps, len(feature_names)). Anchors are feature columns (of the last step), unscaled,
    that the target transform and the calibration need.
    """

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns of `features`; a class attribute will do."""
        ...

    @property
    def anchor_names(self) -> tuple[str, ...]:
        """Names of the anchors, all of them among `feature_names`."""
        ...

    def features(self, raw: FloatArray) -> FloatArray:
        """(n, *raw_shape) -> (n, [steps,] features). Finite for every raw batch that the contract admits."""
        ...

    def baselines(self, features: FloatArray) -> Mapping[str, FloatArray]:
        """Return what the rules predict that a model has to beat, by name.

        In target units (n,) for numbers, probabilities (n, classes) for classes, (n, horizons, 3) for paths.
        """
        ...


@runtime_checkable
class Transform(Protocol):
    """A transform between a model's output and target units, for numbers and paths.

    The array of targets is (n,), or (n, horizons, 3) for paths; what a model learns is (n,), or (n, outputs)
    for paths, whose module names the outputs as `output_names`.
    """

    def encode_target(self, target: FloatArray, anchors: FloatArray) -> FloatArray:
        """Target units -> what a model learns; NaN where the truth is NaN."""
        ...

    def decode_target(self, encoded: FloatArray, anchors: FloatArray) -> FloatArray:
        """Inverse of `encode_target`; of numbers non-decreasing: bands are decoded end by end."""
        ...

    def interval_scale(self, anchors: FloatArray) -> FloatArray:
        """Return the variable (n,) along which regions are calibrated, for example time in flight."""
        ...


def load_workload(contract: Contract) -> Workload:
    """Load the `WORKLOAD` object of the contract's module.

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


def transform_of(workload: Workload) -> Transform:
    """Return the workload as its target transform.

    Raises:
        TypeError: it lacks a part of it.
    """
    if not isinstance(workload, Transform):
        raise TypeError(
            f"{type(workload).__name__}: lacks encode_target, decode_target or interval_scale, "
            "expected where numbers or paths are predicted"
        )
    return workload


def anchors_of(workload: Workload, features: FloatArray) -> FloatArray:
    """Return the anchor columns of features, (n, anchors); of a sequence those of its last step."""
    last = features if features.ndim == 2 else features[:, -1]
    return last[:, [workload.feature_names.index(name) for name in workload.anchor_names]]
