"""A family can be told not to look at some features, whatever they hold when it is asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from training.families.base import load_family
from training.fitting.data import Params, Split
from training.fitting.feature_mask import visible_features

NAMES = ("speed", "route_0", "route_1", "turn")
PARAMS: dict[str, dict[str, Any]] = {
    "ridge": {"alpha": 1.0, "products": True},
    "gru": {
        "width": 4,
        "learning_rate": 1e-2,
        "weight_decay": 1e-4,
        "loss": "distance",
        "batch_size": 64,
        "epochs": 2,
        "device": "cpu",
    },
}

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)


def split(rows: int, seed: int) -> Split:
    """y is the last step's speed and its route_0."""
    x = np.random.default_rng(seed).normal(size=(rows, 3, len(NAMES))).astype(np.float32)
    return Split(x, x[:, -1, :2], np.ones(rows, np.float32), groups=((0, 1),), features=NAMES)


TRAIN, VALID = split(400, 0), split(100, 1)


def test_patterns_name_what_is_not_seen() -> None:
    assert visible_features({}, TRAIN).tolist() == [True] * 4
    assert visible_features({"masked_features": ""}, replace(TRAIN, features=())).tolist() == [True] * 4
    assert visible_features({"masked_features": "route_*"}, TRAIN).tolist() == [True, False, False, True]
    assert visible_features({"masked_features": "turn route_1"}, TRAIN).tolist() == [True, True, False, False]


@pytest.mark.parametrize("name", ["ridge", "gru"])
def test_what_is_not_seen_changes_nothing(name: str) -> None:
    def fitted(params: Params) -> Any:
        return load_family(name).fit({**PARAMS[name], **params}, TRAIN, VALID, 0, lambda *_: None)

    blind, sighted = fitted({"masked_features": "route_*"}), fitted({"masked_features": ""})
    other = VALID.x.copy()
    other[..., 1:3] += 1
    np.testing.assert_array_equal(blind.predict(other), blind.predict(VALID.x))
    assert np.abs(sighted.predict(other) - sighted.predict(VALID.x)).max() > 0.01
    session = onnxruntime.InferenceSession(blind.to_onnx(), providers=["CPUExecutionProvider"])
    (outputs,) = session.run(None, {"x": other})
    np.testing.assert_allclose(outputs, blind.predict(VALID.x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["ridge", "gru"])
def test_a_feature_that_there_is_not_is_refused(name: str) -> None:
    message = r"masked_features: got 'rout_\*', expected some of speed, route_0, route_1"
    with pytest.raises(ValueError, match=message):
        load_family(name).fit(PARAMS[name] | {"masked_features": "rout_*"}, TRAIN, VALID, 0, lambda *_: None)
