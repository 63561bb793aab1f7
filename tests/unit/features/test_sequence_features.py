"""Features that are sequences: scaled by column, anchored at the last step, flattened where a family must."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from toy.parts import toy_parts

from features.scaling import Moments, StandardScaler
from features.workload import anchors_of
from features.workloads.weather import WORKLOAD
from tests.support.params import TABULAR, brief
from tests.support.weather import calm_prepared, weather_parts
from training.families.base import load_family
from training.fitting.data import Split
from training.fitting.flat import flat
from training.runtime.bundle import read_bundle, write_bundle
from training.runtime.errors import MalformedBundle
from training.runtime.inference import ArmRuntime, Model, load_model

GENERATOR = np.random.default_rng(4)

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)


def test_moments_of_sequences_are_those_of_their_steps() -> None:
    sequences = GENERATOR.normal(size=(7, 4, 3))
    assert Moments.of(sequences) == Moments.of(sequences.reshape(28, 3))


def test_sequences_are_scaled_by_column_and_back() -> None:
    sequences = GENERATOR.normal(3, 2, size=(50, 4, 3))
    scaler = StandardScaler.fit("abc", [Moments.of(sequences)])
    scaled = scaler.transform(sequences)
    np.testing.assert_array_equal(scaled[:, 2], scaler.transform(sequences[:, 2]))
    np.testing.assert_allclose(scaled.reshape(-1, 3).std(axis=0), 1)
    np.testing.assert_allclose(scaler.inverse(scaled), sequences)


def test_anchors_are_columns_of_the_last_step() -> None:
    features = GENERATOR.normal(size=(6, 5, len(WORKLOAD.feature_names)))
    expected = features[:, -1][:, [0, WORKLOAD.feature_names.index("unrest_c")]]
    np.testing.assert_array_equal(anchors_of(WORKLOAD, features), expected)


def sequences(rows: int) -> Split:
    x = GENERATOR.normal(size=(rows, 3, 2)).astype(np.float32)
    return Split(x, x[:, 2, :1] - 0.5 * x[:, 0, 1:], np.ones(rows, np.float32))


@pytest.mark.parametrize("name", TABULAR)
def test_tabular_families_lay_the_steps_side_by_side(name: str) -> None:
    family, train, valid = load_family(name), sequences(1500), sequences(200)
    fitted = family.fit(brief(family), train, valid, 1, lambda *_: None)
    assert np.corrcoef(fitted.predict(valid.x)[:, 0], valid.y[:, 0])[0, 1] > 0.9
    session = onnxruntime.InferenceSession(fitted.to_onnx(), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape[1:] == [3, 2]
    for rows in (1, 200):
        (y,) = session.run(None, {"x": valid.x[:rows]})
        np.testing.assert_allclose(y, fitted.predict(valid.x[:rows]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in TABULAR if name != "gru"])
def test_a_tabular_family_learns_the_same_from_flat_rows(name: str) -> None:
    family, train, valid = load_family(name), sequences(600), sequences(100)
    found = []
    for shape in (lambda x: x, flat):
        learnt, held = (Split(shape(part.x), part.y, part.weight) for part in (train, valid))
        found.append(family.fit(brief(family), learnt, held, 1, lambda *_: None).predict(held.x))
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize("family", ["gru", "ridge"])
def test_a_bundle_of_sequences_comes_back_and_proves_itself(family: str, tmp_path: Path) -> None:
    parts = weather_parts(family)
    bundle = read_bundle(tmp_path / "b", write_bundle(parts, tmp_path / "b"), parts.contract)
    assert bundle.golden.features.shape[1:] == bundle.reference.features.shape[1:] == (5, 10)
    model, raw = load_model(bundle), bundle.golden.raw
    whole = model.predict(raw)
    for row in (0, len(raw) - 1):
        alone = model.predict(raw[[row]])
        np.testing.assert_allclose(alone["prediction"], whole["prediction"][[row]], rtol=1e-6)
    np.testing.assert_array_equal(whole["prediction"], Model(parts).predict(raw)["prediction"])


def test_a_reference_of_another_shape_is_refused(tmp_path: Path) -> None:
    parts = weather_parts("ridge")
    reference = replace(parts.reference, features=parts.reference.features[:, -1])
    with pytest.raises(MalformedBundle, match=r"reference\.features: got \(10,\), expected \(5, 10\)"):
        write_bundle(replace(parts, reference=reference), tmp_path / "b")


def test_a_graph_for_rows_is_refused_where_features_are_sequences() -> None:
    with pytest.raises(MalformedBundle, match=r"expected x float32 \(batch, 5, 10\)"):
        ArmRuntime(replace(weather_parts("ridge"), onnx=toy_parts().onnx))


def test_the_splits_that_families_see_are_standard() -> None:
    train = calm_prepared().train
    np.testing.assert_allclose(train.x.reshape(-1, 10)[:, 0].std(), 1, atol=1e-4)
    assert train.x.shape[1:] == (5, 10)
