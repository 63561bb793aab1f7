"""Rules that are fitted on the train part, for comparison with the models; they are never served."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from features.workload import Workload
from training.data.splits import Splits

FloatArray = NDArray[np.float64]


@runtime_checkable
class Baseline(Protocol):
    """A rule that a model has to beat."""

    name: str

    def predict(self, workload: Workload, splits: Splits) -> FloatArray:
        """Fitted on `splits.train`: what it says about `splits.test`, as `Workload.baselines` does."""
        ...


def fitted_baselines(modules: Iterable[str], workload: Workload, splits: Splits) -> dict[str, FloatArray]:
    """Return what the `BASELINE` of each module predicts for the test part, by name.

    Raises:
        TypeError: a module has none.
    """
    values = {}
    for module in modules:
        baseline = getattr(import_module(module), "BASELINE", None)
        if not isinstance(baseline, Baseline):
            found = type(baseline).__name__
            raise TypeError(f"{module}.BASELINE: got {found}, expected a training.baselines.base.Baseline")
        values[baseline.name] = baseline.predict(workload, splits)
    return values
