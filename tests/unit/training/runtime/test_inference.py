"""Running bundles: the same numbers whole or halved, alone or in a batch; and golden checks that can fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from toy.parts import linear_graph, toy_parts, toy_raw

from features.targets import TargetSpec
from features.workload import load_workload
from training.runtime.bundle import BundleParts, Golden
from training.runtime.errors import ForeignBundle, GoldenMismatch, MalformedBundle
from training.runtime.inference import ArmRuntime, Model, ScalerRuntime, scale
from training.runtime.tasks.base import Predicted

PARTS = toy_parts()


def test_both_halves_give_what_the_whole_gives() -> None:
    raw = toy_raw(50, seed=3)
    halves = ArmRuntime(PARTS).predict(ScalerRuntime(PARTS).transform(raw))
    whole = Model(PARTS).predict(raw)
    for name in ("prediction", "lower", "upper"):
        np.testing.assert_array_equal(halves[name], whole[name])


def test_predictions_follow_the_formula() -> None:
    raw = toy_raw(5, seed=4)
    features = np.column_stack([raw[:, 0], raw[:, 1], raw[:, 0] * raw[:, 1], raw[:, 2]])
    scaled = (features - PARTS.scaler.mean) / PARTS.scaler.scale
    encoded = scaled @ [0.3, 0.2, -0.1, 0.05] * PARTS.target_scaler.scale[0] + PARTS.target_scaler.mean[0]
    # the score at 0.8 lies three quarters of the way from 1 to 3
    half = 2.5 * np.interp(features[:, 2], (0, 40), (0.01, 0.03))
    got = Model(PARTS).predict(raw)
    for name, expected in (("prediction", encoded), ("lower", encoded - half), ("upper", encoded + half)):
        np.testing.assert_allclose(got[name], expected * (features[:, 2] + 1), rtol=1e-6)


def test_a_row_does_not_see_its_batch() -> None:
    raw, model = toy_raw(257, seed=5), Model(PARTS)
    whole = model.predict(raw)
    for rows in ([0], [17], [256], list(range(100, 133))):
        alone = model.predict(raw[rows])
        for name in ("prediction", "lower", "upper"):
            np.testing.assert_allclose(alone[name], whole[name][rows], rtol=1e-6)


def test_a_wider_coverage_gives_a_wider_band() -> None:
    raw, model = toy_raw(9), Model(PARTS)
    narrow, usual, wide = (model.predict(raw, coverage) for coverage in (0.5, None, 0.9))
    assert (narrow["upper"] < usual["upper"]).all()
    assert (usual["upper"] < wide["upper"]).all()
    np.testing.assert_array_equal(narrow["prediction"], wide["prediction"])


def test_outputs_stay_in_the_range_of_the_target() -> None:
    target = TargetSpec(name="area_m2", unit="m2", minimum=30, maximum=40)
    parts = replace(PARTS, contract=PARTS.contract.model_copy(update={"target": target}))
    got = Model(parts).predict(toy_raw(100))
    for values in (got["prediction"], got["lower"], got["upper"]):
        assert values.min() == 30
        assert values.max() == 40


def test_no_rows_give_no_predictions() -> None:
    assert Model(PARTS).predict(np.empty((0, 3)))["prediction"].shape == (0,)


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(n, 3\)"):
        ScalerRuntime(PARTS).transform(np.zeros((2, 4)))


def test_a_bundle_of_other_features_is_refused() -> None:
    names = ("width_m", "length_m", "product_m2", "noise")
    parts = replace(PARTS, card=PARTS.card.model_copy(update={"feature_names": names}))
    with pytest.raises(ForeignBundle, match="feature_names"):
        ScalerRuntime(parts)


@pytest.mark.parametrize(
    "graph", [b"no graph", linear_graph(np.ones(3)), linear_graph(np.ones(4), output="z")]
)
def test_another_graph_is_refused(graph: bytes) -> None:
    with pytest.raises(MalformedBundle, match=r"model\.onnx"):
        ArmRuntime(replace(PARTS, onnx=graph))


def test_a_sound_bundle_passes_its_golden_check() -> None:
    ScalerRuntime(PARTS).check_golden()
    ArmRuntime(PARTS).check_golden()
    Model(PARTS).check_golden()


Broken = Callable[[BundleParts], BundleParts]


def shifted(name: str, by: float) -> Broken:
    def change(parts: BundleParts) -> BundleParts:
        golden = parts.golden
        arrays = {"raw": golden.raw, "features": golden.features, **golden.outputs.arrays}
        arrays[name] = arrays[name].copy()
        arrays[name][..., -1] += by
        outputs = Predicted({key: arrays[key] for key in golden.outputs.arrays})
        return replace(parts, golden=Golden(arrays["raw"], arrays["features"], outputs))

    return change


def other_weights(parts: BundleParts) -> BundleParts:
    return replace(parts, onnx=linear_graph(np.array([0.3, 0.2, -0.1, 0.0501])))


@pytest.mark.parametrize("change", [shifted("features", 1e-3), shifted("raw", 1e-3), shifted("raw", np.nan)])
def test_the_scaler_notices_other_features(change: Broken) -> None:
    with pytest.raises(GoldenMismatch, match="scaled features"):
        ScalerRuntime(change(PARTS)).check_golden()
    with pytest.raises(GoldenMismatch):
        Model(change(PARTS)).check_golden()


@pytest.mark.parametrize(
    "change", [other_weights, shifted("prediction", 1e-3), shifted("lower", 1e-3), shifted("upper", np.nan)]
)
def test_the_arm_notices_other_outputs(change: Broken) -> None:
    ScalerRuntime(change(PARTS)).check_golden()
    for runtime in (ArmRuntime(change(PARTS)), Model(change(PARTS))):
        with pytest.raises(GoldenMismatch, match="relative"):
            runtime.check_golden()


def test_the_scaler_notices_anchors_that_only_they_show() -> None:
    """An area near 0: what is much of it is little beside the scale of the feature."""
    raw = PARTS.golden.raw.copy()
    raw[0, :2] = 1e-3
    features = np.column_stack([raw[:, 0], raw[:, 1], raw[:, 0] * raw[:, 1], raw[:, 2]])
    sound = replace(PARTS, golden=Golden(raw, features, PARTS.golden.outputs))
    ScalerRuntime(sound).check_golden()
    other = features.copy()
    other[0, 2] *= 1 + 1e-3
    with pytest.raises(GoldenMismatch, match=r"^anchors\[0, 0\]: got .* expected .* to 1e-06 relative"):
        ScalerRuntime(replace(sound, golden=Golden(raw, other, PARTS.golden.outputs))).check_golden()


def test_halves_that_agree_may_make_a_whole_that_does_not() -> None:
    """A steep graph: what is rounding for the scaler is an error of the answer."""
    steep = replace(PARTS, onnx=linear_graph(np.array([1e3, 0.0, 0.0, 0.0])))
    raw = np.array([[PARTS.scaler.mean[0], 1.0, 1.0]])
    features = np.array([[raw[0, 0] + 8e-7 * PARTS.scaler.scale[0], 1.0, raw[0, 0], 1.0]])
    outputs = ArmRuntime(steep).predict(scale(steep, load_workload(steep.contract), features))
    parts = replace(steep, golden=Golden(raw, features, outputs))
    ScalerRuntime(parts).check_golden()
    ArmRuntime(parts).check_golden()
    with pytest.raises(GoldenMismatch, match="relative"):
        Model(parts).check_golden()


def test_an_arm_is_checked_by_the_features_that_are_stored() -> None:
    """Here the whole gives its outputs, from features that the scaler makes a little otherwise."""
    steep = replace(PARTS, onnx=linear_graph(np.array([1e3, 0.0, 0.0, 0.0])))
    raw = np.array([[PARTS.scaler.mean[0], 1.0, 1.0]])
    features = np.array([[raw[0, 0] + 8e-7 * PARTS.scaler.scale[0], 1.0, raw[0, 0], 1.0]])
    parts = replace(steep, golden=Golden(raw, features, Model(steep).predict(raw)))
    ScalerRuntime(parts).check_golden()
    with pytest.raises(GoldenMismatch, match="relative"):
        Model(parts).check_golden()


def test_rounding_in_the_last_digits_passes() -> None:
    ArmRuntime(shifted("prediction", 1e-7)(PARTS)).check_golden()


@pytest.mark.parametrize(("by", "passes"), [(0.99e-6, True), (1.02e-6, False)])
def test_where_the_tolerance_of_a_golden_output_lies(by: float, passes: bool) -> None:
    """Relative to the farther end of the band, whichever number it is that differs."""
    golden = PARTS.golden
    made = ArmRuntime(PARTS).predict(scale(PARTS, load_workload(PARTS.contract), golden.features))
    scales = np.maximum(np.abs(made["lower"]), np.abs(made["upper"]))
    outputs = Predicted({**made.arrays, "prediction": made["prediction"] - by * scales})
    runtime = ArmRuntime(replace(PARTS, golden=replace(golden, outputs=outputs)))
    if passes:
        runtime.check_golden()
    else:
        with pytest.raises(GoldenMismatch, match=r"^prediction\[0\]: got .* to 1e-06 relative$"):
            runtime.check_golden()


def test_golden_outputs_of_another_task_or_length_are_noticed() -> None:
    golden = PARTS.golden
    arrays = dict(golden.outputs.arrays)
    del arrays["upper"]
    other = ArmRuntime(replace(PARTS, golden=replace(golden, outputs=Predicted(arrays))))
    expected = r"outputs: got \['lower', 'prediction', 'upper'\], expected \['lower', 'prediction'\]"
    with pytest.raises(GoldenMismatch, match=expected):
        other.check_golden()
    short = ScalerRuntime(replace(PARTS, golden=replace(golden, raw=golden.raw[:-1])))
    rows = len(golden.raw)
    with pytest.raises(GoldenMismatch, match=rf"got shape \({rows - 1}, 4\), expected \({rows}, 4\)"):
        short.check_golden()


def test_a_model_computes_in_one_thread_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime as ort

    seen = []
    real = ort.InferenceSession

    def record(
        graph: bytes, options: ort.SessionOptions, providers: list[str], **others: int
    ) -> ort.InferenceSession:
        seen.append((options, providers))
        return real(graph, options, providers=providers, **others)

    monkeypatch.setattr(ort, "InferenceSession", record)
    ArmRuntime(PARTS)
    assert len(seen) == 2, "one that proves the graph, and one that serves it"
    for options, providers in seen:
        assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
        assert options.execution_mode == ort.ExecutionMode.ORT_SEQUENTIAL
        assert options.log_severity_level >= 3
        assert providers == ["CPUExecutionProvider"]


def test_a_session_is_never_asked_about_no_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    arm, scaler = ArmRuntime(PARTS), ScalerRuntime(PARTS)

    class Session:
        def run(self, *_: object) -> None:
            raise AssertionError("asked about no rows")

    monkeypatch.setattr(arm, "_session", Session())
    assert arm.predict(scaler.transform(toy_raw(4)[:0]))["prediction"].shape == (0,)
