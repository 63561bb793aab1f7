"""What every model family has to do, whichever it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest

from tests.support.params import TABULAR, brief
from training.families.base import load_family
from training.fitting.data import Split


def split(rows: int, seed: int) -> Split:
    """y = 0.8 x0 - 0.5 x1 x2, with one useless column."""
    x = np.random.default_rng(seed).normal(size=(rows, 4)).astype(np.float32)
    y = 0.8 * x[:, 0] - 0.5 * np.clip(x[:, 1] * x[:, 2], -2, 2)
    return Split(x, y.astype(np.float32)[:, None], np.ones(rows, np.float32))


TRAIN, VALID, TEST = split(4000, 0), split(500, 1), split(700, 2)


@pytest.fixture(scope="module", params=TABULAR)
def trained(request: pytest.FixtureRequest) -> Any:
    family = load_family(request.param)
    reports: list[tuple[int, float]] = []
    fitted = family.fit(brief(family), TRAIN, VALID, 3, lambda step, loss: reports.append((step, loss)))
    return family, fitted, reports


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_onnx_graph_equals_predict_for_any_batch(trained: Any) -> None:
    _, fitted, _ = trained
    session = onnxruntime.InferenceSession(fitted.to_onnx(), providers=["CPUExecutionProvider"])
    (entry,), (result,) = session.get_inputs(), session.get_outputs()
    assert (entry.name, entry.type, entry.shape[1]) == ("x", "tensor(float)", 4)
    assert (result.name, result.type) == ("y", "tensor(float)")
    far = np.array([[50, -50, 1e4, -1e4]], np.float32)
    for x in (TEST.x[:1], TEST.x[:7], TEST.x, far):
        (y,) = session.run(None, {"x": x})
        assert y.shape == (len(x), 1)
        np.testing.assert_allclose(y, fitted.predict(x), rtol=1e-5, atol=1e-5)


def test_learns_a_simple_function(trained: Any) -> None:
    _, fitted, _ = trained
    unexplained = np.mean((fitted.predict(TEST.x) - TEST.y) ** 2) / TEST.y.var()
    assert unexplained < 0.15


def test_reports_a_finite_loss_at_increasing_steps(trained: Any) -> None:
    family, _, reports = trained
    steps = [step for step, _ in reports]
    assert steps == sorted(set(steps))
    assert all(np.isfinite(loss) for _, loss in reports)
    assert (len(reports) > 1) == family.iterative


@pytest.mark.parametrize("name", TABULAR)
def test_same_seed_same_model(name: str) -> None:
    family = load_family(name)
    small = Split(TRAIN.x[:500], TRAIN.y[:500], TRAIN.weight[:500])
    params = brief(family)
    first, second = (family.fit(params, small, VALID, 5, lambda *_: None).predict(TEST.x) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", TABULAR)
def test_rows_without_weight_do_not_count(name: str) -> None:
    family = load_family(name)
    y, weight = TRAIN.y.copy(), TRAIN.weight.copy()
    y[::2], weight[::2] = 30.0, 1e-6
    fitted = family.fit(brief(family), Split(TRAIN.x, y, weight), VALID, 0, lambda *_: None)
    assert abs(float(np.mean(fitted.predict(TEST.x) - TEST.y))) < 0.5


def test_an_unknown_family_is_named() -> None:
    with pytest.raises(ValueError, match="'no_such'"):
        load_family("no_such")
