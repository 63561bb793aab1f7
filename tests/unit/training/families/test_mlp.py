"""What the perceptrons see: each number once, some of them hidden while they learn, groups as distances."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from training.families.base import load_family, resumable
from training.families.mlp import _informative_columns, _kept
from training.fitting.data import Split
from training.fitting.runs import Run

FAMILY = load_family("mlp")
EXPORT_WARNINGS = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)
PARAMS: dict[str, Any] = {
    "width": 16,
    "depth": 2,
    "learning_rate": 1e-2,
    "weight_decay": 1e-4,
    "loss": "distance",
    "input_dropout": 0.1,
    "dropout": 0.2,
    "batch_size": 64,
    "epochs": 4,
    "device": "cpu",
}


def split(rows: int, seed: int) -> Split:
    """Sequences of three steps, of which the second feature is the same in all; two sides of a distance."""
    x = np.random.default_rng(seed).normal(size=(rows, 3, 2)).astype(np.float32)
    x[:, :, 1] = x[:, -1:, 1]
    y = np.stack([x[:, 0, 0] - x[:, 2, 0], x[:, 0, 1]], axis=1)
    return Split(x, y, np.ones(rows, np.float32), groups=((0, 1),))


TRAIN, VALID = split(900, 0), split(200, 1)


def fitted(train: Split = TRAIN, **changes: Any) -> tuple[Any, list[float]]:
    losses: list[float] = []
    found = FAMILY.fit(PARAMS | changes, train, VALID, 0, lambda _, loss: losses.append(loss))
    return found, losses


def test_columns_that_repeat_the_last_step_are_left_out_and_the_last_step_is_taken_whole() -> None:
    assert _informative_columns(TRAIN.x).tolist() == [0, 2, 4, 5]
    assert _informative_columns(TRAIN.x[:, 0]).tolist() == [0, 1]
    x = VALID.x.copy()
    model = fitted()[0]
    before = model.predict(x)
    x[:, 0, 1] += 1
    np.testing.assert_array_equal(model.predict(x), before)
    x[:, 0, 0] += 1
    assert np.abs(model.predict(x) - before).max() > 0.1


def test_dropout_hides_while_it_learns_and_never_after() -> None:
    model, losses = fitted()
    np.testing.assert_array_equal(model.predict(VALID.x), model.predict(VALID.x))
    assert fitted()[1] == losses
    none: list[dict[str, Any]] = [{"dropout": 0.0}, {"input_dropout": 0.0}]
    for changes in (*none, none[0] | none[1]):
        assert fitted(**changes)[1] != losses


def test_dropout_keeps_the_mean_of_each_kind_of_column() -> None:
    seen = _kept(4000, 2, [(3, 0.0), (5, 0.25)], torch.Generator().manual_seed(0))
    assert seen.shape == (4000, 2, 8)
    assert seen[..., :3].unique().tolist() == [1]
    assert sorted(seen[..., 3:].unique().tolist()) == pytest.approx([0, 4 / 3])
    assert seen.mean().item() == pytest.approx(1, abs=0.01)


def weight_shapes(**changes: Any) -> dict[str, tuple[int, ...]]:
    """Return the shape of each weight that is fitted, as the saved state of the fit has them."""
    states: list[bytes] = []
    family = resumable(FAMILY)
    assert family is not None
    family.fit(PARAMS | {"epochs": 1} | changes, TRAIN, VALID, 0, lambda *_: None, Run(None, states.append))
    weights = torch.load(io.BytesIO(states[-1]), weights_only=True)["network"]
    return {name: tuple(weight.shape) for name, weight in weights.items() if name.endswith("weight")}


def test_there_are_as_many_members_as_asked_for_with_or_without_a_linear_path() -> None:
    with_path, without = (weight_shapes(members=3, linear_path=kind) for kind in (True, False))
    assert {name.split(".")[0] for name in with_path.keys() ^ without.keys()} == {"direct"}
    assert {shape[0] for shape in with_path.values()} == {3}


@EXPORT_WARNINGS
def test_its_graph_gives_what_it_gives() -> None:
    model = fitted()[0]
    session = onnxruntime.InferenceSession(model.to_onnx(), providers=["CPUExecutionProvider"])
    for rows in (1, 200):
        (outputs,) = session.run(None, {"x": VALID.x[:rows]})
        np.testing.assert_allclose(outputs, model.predict(VALID.x[:rows]), rtol=1e-5, atol=1e-5)


def test_a_distance_of_which_one_side_is_unknown_teaches_nothing() -> None:
    half = TRAIN.y.copy()
    half[::2, 1] = np.nan
    none = half.copy()
    none[::2] = np.nan
    first, second = (fitted(replace(TRAIN, y=y))[0].predict(VALID.x) for y in (half, none))
    np.testing.assert_array_equal(first, second)


def test_it_learns_the_distance() -> None:
    assert fitted(epochs=12, dropout=0.0, input_dropout=0.0)[1][-1] < 0.15
