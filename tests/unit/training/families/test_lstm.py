"""The bidirectional family: it joins both ends of a sequence, and its graph says what it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from training.families.base import load_family
from training.fitting.data import Split
from training.fitting.torch_members import FittedMembers, kept

PARAMS: dict[str, Any] = {
    "width": 16,
    "learning_rate": 1e-2,
    "weight_decay": 1e-4,
    "dropout": 0.1,
    "huber_delta": 1.0,
    "batch_size": 128,
    "epochs": 15,
    "device": "cpu",
}
FAMILY = load_family("lstm")

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)


def sequences(rows: int, seed: int) -> Split:
    """The class is whether the first step and the last have the same sign: no step alone tells it."""
    x = np.random.default_rng(seed).normal(size=(rows, 5, 3)).clip(-2, 2).astype(np.float32)
    same = (x[:, 0, 0] * x[:, -1, 1] > 0).astype(int)
    return Split(x, np.eye(2, dtype=np.float32)[same], np.ones(rows, np.float32), "classes")


TRAIN, VALID, TEST = sequences(3000, 0), sequences(400, 1), sequences(400, 2)


@pytest.fixture(scope="module")
def fitted() -> FittedMembers:
    found = FAMILY.fit(PARAMS, TRAIN, VALID, 3, lambda *_: None)
    assert isinstance(found, FittedMembers)
    return found


@pytest.fixture(scope="module")
def graph(fitted: FittedMembers) -> bytes:
    return fitted.to_onnx()


def test_it_joins_what_is_far_apart(fitted: FittedMembers) -> None:
    outputs = fitted.predict(TEST.x)
    assert (outputs.argmax(axis=1) == TEST.y.argmax(axis=1)).mean() > 0.95


def test_the_graph_takes_sequences_in_batches_of_any_size(fitted: FittedMembers, graph: bytes) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    (entry,), (result,) = session.get_inputs(), session.get_outputs()
    assert (entry.name, entry.shape[1:], result.name) == ("x", [5, 3], "y")
    far = np.full((2, 5, 3), 1e4, np.float32)
    for x in (TEST.x[:1], TEST.x[:33], TEST.x, far):
        (y,) = session.run(None, {"x": x})
        np.testing.assert_allclose(y.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(y, fitted.predict(x), atol=1e-5)


def test_the_graph_drops_nothing(graph: bytes) -> None:
    operators = {node.op_type for node in onnx.load_from_string(graph).graph.node}
    assert "LSTM" in operators
    assert not operators & {"Dropout", "RandomUniform", "RandomUniformLike"}


def test_it_sees_the_future_of_a_step() -> None:
    """The state of the way back, which starts at the end, has seen every step; so has that of the way on."""
    fitted = FAMILY.fit(PARAMS | {"epochs": 1}, TRAIN, VALID, 0, lambda *_: None)
    before = fitted.predict(TEST.x[:50])
    for step in range(5):
        x = TEST.x[:50].copy()
        x[:, step] += 1
        assert np.abs(fitted.predict(x) - before).max() > 1e-4


def test_dropout_keeps_the_mean_and_comes_from_the_seed() -> None:
    seen = kept(2000, 2, 16, 0.25, torch.Generator().manual_seed(0))
    assert seen.shape == (2000, 2, 16)
    assert sorted(seen.unique().tolist()) == pytest.approx([0, 4 / 3])
    assert seen.mean().item() == pytest.approx(1, abs=0.01)
    assert torch.equal(seen, kept(2000, 2, 16, 0.25, torch.Generator().manual_seed(0)))
    assert kept(3, 2, 4, 0.0, torch.Generator()).unique().tolist() == [1]


def test_dropout_is_used() -> None:
    def losses(dropout: float) -> list[float]:
        reported: list[float] = []
        params = PARAMS | {"epochs": 2, "dropout": dropout}
        FAMILY.fit(params, TRAIN, VALID, 0, lambda _, loss: reported.append(loss))
        return reported

    assert losses(0.0) != losses(0.6)


def test_the_global_generator_of_torch_is_left_alone() -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    FAMILY.fit(PARAMS | {"epochs": 1}, VALID, VALID, 0, lambda *_: None)
    assert torch.equal(torch.rand(3), expected)
