"""The recurrent family: it uses the order of the steps, on whatever device there is."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from training.families.base import load_family
from training.fitting.data import Split
from training.fitting.device import pick_device
from training.fitting.torch_members import FittedMembers

PARAMS: dict[str, Any] = {
    "width": 16,
    "learning_rate": 1e-2,
    "weight_decay": 1e-4,
    "huber_delta": 2.0,
    "batch_size": 256,
    "epochs": 30,
    "device": "cpu",
}
FAMILY = load_family("gru")

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)


def sequences(rows: int, seed: int) -> Split:
    """y is what stands in the first step, with the sign of the last: no step alone tells it."""
    x = np.random.default_rng(seed).normal(size=(rows, 5, 3)).clip(-2, 2).astype(np.float32)
    return Split(x, (x[:, 0, 0] * np.sign(x[:, -1, 1]))[:, None], np.ones(rows, np.float32))


TRAIN, VALID, TEST = sequences(3000, 0), sequences(400, 1), sequences(400, 2)


@pytest.fixture(scope="module")
def fitted() -> FittedMembers:
    found = FAMILY.fit(PARAMS, TRAIN, VALID, 3, lambda *_: None)
    assert isinstance(found, FittedMembers)
    return found


def test_it_joins_what_is_far_apart(fitted: FittedMembers) -> None:
    unexplained = np.mean((fitted.predict(TEST.x) - TEST.y) ** 2) / TEST.y.var()
    assert unexplained < 0.3


def test_the_graph_takes_sequences_in_batches_of_any_size(fitted: FittedMembers) -> None:
    session = onnxruntime.InferenceSession(fitted.to_onnx(), providers=["CPUExecutionProvider"])
    (entry,), (result,) = session.get_inputs(), session.get_outputs()
    assert (entry.name, entry.shape[1:], result.name) == ("x", [5, 3], "y")
    far = np.full((2, 5, 3), 1e4, np.float32)
    for x in (TEST.x[:1], TEST.x[:33], TEST.x, far):
        (y,) = session.run(None, {"x": x})
        assert y.shape == (len(x), 1)
        np.testing.assert_allclose(y, fitted.predict(x), rtol=1e-5, atol=1e-6)


def test_it_stops_when_it_no_longer_learns() -> None:
    generator = np.random.default_rng(5)
    noise = Split(TRAIN.x[:256], generator.normal(size=(256, 1)).astype(np.float32), TRAIN.weight[:256])
    other = Split(VALID.x, generator.normal(size=(400, 1)).astype(np.float32), VALID.weight)
    losses: list[float] = []
    found = FAMILY.fit(PARAMS | {"epochs": 60}, noise, other, 0, lambda step, loss: losses.append(loss))
    assert len(losses) < 60
    kept = np.abs(found.predict(other.x) - other.y).mean()
    assert kept == pytest.approx(min(losses), rel=1e-5)


def test_the_global_generator_of_torch_is_left_alone() -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    FAMILY.fit(PARAMS | {"epochs": 1}, VALID, VALID, 0, lambda *_: None)
    assert torch.equal(torch.rand(3), expected)


def test_a_seed_makes_the_model() -> None:
    models = [FAMILY.fit(PARAMS | {"epochs": 1}, VALID, VALID, seed, lambda *_: None) for seed in (1, 1, 2)]
    first, same, other = (model.predict(TEST.x) for model in models)
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("present", "expected"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_a_gpu_when_there_is_one(
    present: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: present)
    assert pick_device().type == expected
    assert pick_device("cpu").type == "cpu"


def test_a_device_that_is_not_here_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="device: got 'cuda:1'"):
        pick_device("cuda:1")
