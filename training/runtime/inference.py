"""Running a bundle: raw instances -> features -> scaled matrix -> prediction with its region.

`ScalerRuntime` and `ArmRuntime` are the two halves that serving runs in different processes; `Model` joins
them for offline use, so both give the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.workload import Workload, anchors_of, load_workload
from training.runtime.bundle import Bundle, BundleParts
from training.runtime.errors import ForeignBundle, GoldenMismatch, MalformedBundle
from training.runtime.graph_session import PROOF_LIMIT_S, open_session, prove_graph
from training.runtime.outliers import OutlierScorer
from training.runtime.tasks.base import Predicted, Task
from training.runtime.tasks.factory import make_task

FloatArray = NDArray[np.float64]

GOLDEN_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Scaled:
    """Scaled rows, as the scaler hands them to an arm.

    Attributes:
        matrix: (n, features) or (n, steps, features) float32, scaled.
        anchors: (n, anchors) float64, unscaled.
    """

    matrix: NDArray[np.float32]
    anchors: FloatArray


def _parts_that_answer(check: Callable[[Any], None]) -> Callable[[Any], None]:
    """Have a check refuse parts that cannot compute an answer, tables without a row for example."""

    @wraps(check)
    def checked(runtime: Any) -> None:
        try:
            check(runtime)
        except (ValueError, TypeError, LookupError, ArithmeticError) as error:
            raise MalformedBundle(f"the golden inputs cannot be answered: {error!r}") from error

    return checked


class ScalerRuntime:
    """Features and scaling of one bundle.

    Raises:
        ForeignBundle: the code's features are not those that the bundle was trained on.
    """

    def __init__(self, bundle: BundleParts) -> None:
        self._bundle = bundle
        self._workload = _workload_of(bundle)

    def transform(self, raw: FloatArray) -> Scaled:
        """(n, *raw_shape) float64 -> scaled features and anchors.

        Raises:
            ValueError: another shape.
        """
        shape = self._bundle.contract.raw_shape
        if raw.shape[1:] != shape:
            raise ValueError(f"raw: got shape {raw.shape}, expected (n, {', '.join(map(str, shape))})")
        return scale(self._bundle, self._workload, self._workload.features(raw))

    @cached_property
    def outliers(self) -> OutlierScorer:
        """Fitted to the bundle's reference, in milliseconds, when it is first asked for."""
        return OutlierScorer(self._bundle.scaler.transform(self._bundle.reference.features))

    @_parts_that_answer
    def check_golden(self) -> None:
        """Raise GoldenMismatch unless the golden instances give the features that they were stored with."""
        golden = self._bundle.golden
        got, expected = self.transform(golden.raw), scale(self._bundle, self._workload, golden.features)
        _compare("scaled features", got.matrix, expected.matrix, np.maximum(np.abs(expected.matrix), 1.0))
        _compare("anchors", got.anchors, expected.anchors, np.abs(expected.anchors))


class ArmRuntime:
    """The model of one bundle, in a single-threaded ONNX Runtime session.

    The graph answers the golden inputs once, under limits of time and memory, before it is prepared to serve:
    what is prepared runs its constant parts, which nothing can stop.

    Args:
        bundle: parts made in this process, or read with the contract that is served.
        proof_limit_s: time that the golden inputs may take.

    Raises:
        MalformedBundle: the graph cannot be loaded, or is not `x` (batch, *shape of the features) ->
            `y` (batch, outputs).
        BoundExceeded: it takes more time or memory for the golden inputs than any bundle may.
        ForeignBundle: the code's features or outputs are not those that the bundle was trained for.
    """

    def __init__(self, bundle: BundleParts, proof_limit_s: float = PROOF_LIMIT_S) -> None:
        self._bundle = bundle
        self._workload = _workload_of(bundle)
        self.task: Task = make_task(bundle.contract, self._workload)
        if bundle.target_scaler.names != self.task.output_names:
            raise ForeignBundle(
                f"target_scaler.names: the bundle has {list(bundle.target_scaler.names)}, "
                f"expected {list(self.task.output_names)}"
            )
        golden = scale(bundle, self._workload, bundle.golden.features)
        prove_graph(bundle.onnx, _contiguous(golden), len(self.task.output_names), proof_limit_s)
        self._session = open_session(bundle.onnx)

    @property
    def coverage(self) -> float:
        """Nominal share of truths inside the regions, when no other is asked for."""
        return self._bundle.calibration.coverage

    def predict(self, scaled: Scaled, coverage: float | None = None) -> Predicted:
        """Predictions with their regions, at the bundle's own coverage unless another is given.

        Rows do not see each other.
        """
        return self.task.predict(self.encoded(scaled), scaled.anchors, self._bundle.calibration, coverage)

    def encoded(self, scaled: Scaled) -> FloatArray:
        """Return the model's own outputs, (n, outputs), as `Task.encode` has them; none for no rows."""
        if not len(scaled.matrix):
            # recurrent graphs end the whole process when they are asked about nothing
            return np.empty((0, len(self.task.output_names)))
        (output,) = self._session.run(["y"], {"x": _contiguous(scaled)})
        rows = np.asarray(output, dtype=np.float64).reshape(-1, len(self.task.output_names))
        return self._bundle.target_scaler.inverse(rows)

    @_parts_that_answer
    def check_golden(self) -> None:
        """Raise GoldenMismatch unless the golden features give the outputs that they were stored with."""
        scaled = scale(self._bundle, self._workload, self._bundle.golden.features)
        _compare_predicted(self.task, self.predict(scaled), self._bundle)


class Model:
    """Complete model of a bundle in one process: both of its halves."""

    def __init__(self, bundle: BundleParts) -> None:
        self.bundle = bundle
        self.scaler = ScalerRuntime(bundle)
        self.arm = ArmRuntime(bundle)

    def predict(self, raw: FloatArray, coverage: float | None = None) -> Predicted:
        """(n, *raw_shape) float64 -> predictions in target units."""
        return self.arm.predict(self.scaler.transform(raw), coverage)

    @_parts_that_answer
    def check_golden(self) -> None:
        """Raise GoldenMismatch unless each half and both together reproduce the golden outputs."""
        self.scaler.check_golden()
        self.arm.check_golden()
        _compare_predicted(self.arm.task, self.predict(self.bundle.golden.raw), self.bundle)


def scale(bundle: BundleParts, workload: Workload, features: FloatArray) -> Scaled:
    """(n, [steps,] features) unscaled -> the same, scaled, with their anchors."""
    return Scaled(bundle.scaler.transform(features).astype(np.float32), anchors_of(workload, features))


def load_model(bundle: Bundle) -> Model:
    """Load a model that has reproduced its golden outputs on this machine.

    Raises:
        GoldenMismatch: it does not.
    """
    model = Model(bundle)
    model.check_golden()
    return model


def _workload_of(bundle: BundleParts) -> Workload:
    """Return the code of the workload that is served; raise ForeignBundle where its features are others."""
    contract = bundle.trusted_contract
    workload = load_workload(contract)
    if tuple(workload.feature_names) != bundle.card.feature_names:
        raise ForeignBundle(
            f"feature_names: the bundle has {list(bundle.card.feature_names)}, "
            f"expected those of {contract.module}: {list(workload.feature_names)}"
        )
    return workload


def _contiguous(scaled: Scaled) -> NDArray[np.float32]:
    return np.ascontiguousarray(scaled.matrix, dtype=np.float32)


def _compare_predicted(task: Task, got: Predicted, bundle: BundleParts) -> None:
    golden = bundle.golden.outputs
    if got.arrays.keys() != golden.arrays.keys():
        raise GoldenMismatch(f"outputs: got {sorted(got.arrays)}, expected {sorted(golden.arrays)}")
    tolerances = task.tolerances(golden)
    for name, expected in golden.arrays.items():
        _compare(name, got[name], expected, tolerances[name])


def _compare(what: str, got: NDArray[np.floating], expected: NDArray[np.floating], scale: FloatArray) -> None:
    if got.shape != expected.shape:
        raise GoldenMismatch(f"{what}: got shape {got.shape}, expected {expected.shape}")
    # written so that NaN fails
    wrong = ~(np.abs(got - expected) <= GOLDEN_TOLERANCE * scale)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise GoldenMismatch(
            f"{what}{list(at)}: got {got[at]!r}, expected {expected[at]!r} to {GOLDEN_TOLERANCE:g} relative"
        )
