"""Targets of several numbers, some of them unknown, and of classes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from tests.support.params import suggested
from training.families.base import load_family
from training.fitting.data import Split
from training.fitting.losses import split_loss

MANY = ("linear", "ridge", "random_forest", "mlp", "gru", "lstm")
CLASSIFIERS = ("random_forest", "mlp", "gru", "lstm")
# An export of a network takes seconds. test_feature_mask has a recurrent one, test_lstm has one of classes.
EXPORTED = ("linear", "ridge", "random_forest", "mlp")

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)


def numbers(rows: int, seed: int) -> Split:
    """Three numbers of four: y0 = x0, y1 = x1 - x2, y2 = -x0."""
    x = np.random.default_rng(seed).normal(size=(rows, 4)).astype(np.float32)
    y = np.column_stack([x[:, 0], x[:, 1] - x[:, 2], -x[:, 0]])
    return Split(x, y, np.ones(rows, np.float32))


def classes(rows: int, seed: int) -> Split:
    """Which of the first three columns is the largest; the third is rare."""
    x = np.random.default_rng(seed).normal(size=(rows, 4)).astype(np.float32)
    highest = np.argmax(x[:, :3] - np.array([0, 0, 1.5]), axis=1)
    return Split(x, np.eye(3, dtype=np.float32)[highest], np.ones(rows, np.float32), "classes")


def fit(name: str, train: Split, valid: Split, **changes: Any) -> Any:
    family = load_family(name)
    params = suggested(family) | {"epochs": 8, "batch_size": 128, "device": "cpu"} | changes
    return family.fit(params, train, valid, 3, lambda *_: None)


def served(fitted: Any, x: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(fitted.to_onnx(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0])


@pytest.mark.parametrize("name", MANY)
def test_several_numbers_are_learnt_at_once(name: str) -> None:
    test = numbers(300, 2)
    fitted = fit(name, numbers(2000, 0), numbers(300, 1))
    outputs = fitted.predict(test.x)
    assert outputs.shape == test.y.shape
    unexplained = np.mean((outputs - test.y) ** 2, axis=0) / test.y.var(axis=0)
    assert (unexplained < 0.3).all()
    for rows in (1, 300) if name in EXPORTED else ():
        np.testing.assert_allclose(served(fitted, test.x[:rows]), outputs[:rows], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MANY)
def test_what_is_not_known_is_not_learnt(name: str) -> None:
    """Unknown numbers that counted as 0 would make less than half of what is said."""
    train, valid, test = numbers(3000, 0), numbers(300, 1), numbers(300, 2)
    y = train.y.copy()
    y[::2, 1] = np.nan
    outputs = fit(name, replace(train, y=y), valid, epochs=20).predict(test.x)[:, 1]
    assert outputs @ test.y[:, 1] > 0.55 * (test.y[:, 1] @ test.y[:, 1])


@pytest.mark.parametrize("name", ["linear", "ridge"])
def test_each_output_of_a_line_learns_from_all_rows_that_know_it(name: str) -> None:
    train, valid = numbers(200, 0), numbers(50, 1)
    y = train.y.copy()
    y[:150, 1] = np.nan
    outputs = fit(name, replace(train, y=y), valid).predict(valid.x)
    whole = fit(name, train, valid).predict(valid.x)
    part = fit(name, Split(train.x[150:], train.y[150:], train.weight[150:]), valid).predict(valid.x)
    np.testing.assert_allclose(outputs[:, [0, 2]], whole[:, [0, 2]], atol=1e-6)
    np.testing.assert_allclose(outputs[:, 1], part[:, 1], atol=1e-6)
    y[:, 1] = np.nan
    with pytest.raises(ValueError, match=r"y\[:, 1\]: got no row in which it is known"):
        fit(name, replace(train, y=y), valid)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classes_are_given_as_probabilities(name: str) -> None:
    test = classes(500, 2)
    fitted = fit(name, classes(3000, 0), classes(300, 1))
    outputs = fitted.predict(test.x)
    np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=1e-5)
    assert (outputs >= 0).all()
    assert (outputs.argmax(axis=1) == test.y.argmax(axis=1)).mean() > 0.85
    shares = np.tile(test.y.mean(axis=0), (500, 1))
    assert split_loss(outputs, test) < 0.6 * split_loss(shares, test)
    for rows in (1, 500) if name == "random_forest" else ():
        np.testing.assert_allclose(served(fitted, test.x[:rows]), outputs[:rows], atol=1e-5)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_weight_of_a_class_counts(name: str) -> None:
    train, valid = classes(1500, 0), classes(200, 1)
    rare = train.y[:, 2] == 1
    heavy = replace(train, weight=np.where(rare, 20, 0.5).astype(np.float32))
    light, weighted = (fit(name, part, valid).predict(valid.x)[:, 2].mean() for part in (train, heavy))
    assert weighted > 1.5 * light


@pytest.mark.parametrize("name", ["linear", "ridge", "gradient_boosting"])
def test_families_of_numbers_refuse_classes(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: got a target of classes, expected numbers"):
        fit(name, classes(50, 0), classes(50, 1))


def test_boosting_refuses_several_numbers_and_leaves_out_the_unknown() -> None:
    train, valid = numbers(400, 0), numbers(100, 1)
    with pytest.raises(ValueError, match="gradient_boosting: got a target of 3 outputs, expected at most 1"):
        fit("gradient_boosting", train, valid)
    one, other = replace(train, y=train.y[:, :1].copy()), replace(valid, y=valid.y[:, :1])
    one.y[300:] = np.nan
    whole = fit("gradient_boosting", one, other, trees=50).predict(valid.x)
    part = Split(train.x[:300], train.y[:300, :1], train.weight[:300])
    np.testing.assert_array_equal(whole, fit("gradient_boosting", part, other, trees=50).predict(valid.x))
