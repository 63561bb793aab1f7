"""A graph proves itself within bounds of time and memory, and the process goes on when it does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from onnx import helper
from toy.parts import linear_graph, toy_parts, toy_raw

from tests.support.bombs import endless_loop, memory_bomb, model_of
from training.runtime.errors import BoundExceeded, MalformedBundle
from training.runtime.graph_bounds import check_graph
from training.runtime.graph_session import PROOF_LIMIT_S, open_session, prove_graph
from training.runtime.inference import ArmRuntime, Model

X = np.ones((3, 4), np.float32)


def test_a_run_without_end_is_ended() -> None:
    """The operators that could are refused before; should one be let in, the time limit ends it."""
    with pytest.raises(BoundExceeded, match=r"takes more than 0\.2 s for 3 golden inputs, and was ended"):
        prove_graph(endless_loop(), X, outputs=1, limit_s=0.2)


def test_a_run_has_no_more_memory_than_it_is_given() -> None:
    with pytest.raises(BoundExceeded, match="takes more than 268,435,456 bytes for 3 golden inputs"):
        prove_graph(memory_bomb(), X, outputs=1, limit_s=PROOF_LIMIT_S)


def test_others_are_proven_and_serve_after_it() -> None:
    model, raw = Model(toy_parts()), toy_raw(5)
    before = model.predict(raw)["prediction"]
    for bomb in (endless_loop(), memory_bomb()):
        with pytest.raises(BoundExceeded):
            ArmRuntime(replace(toy_parts(), onnx=bomb), proof_limit_s=0.2)
        np.testing.assert_array_equal(model.predict(raw)["prediction"], before)
        Model(toy_parts()).check_golden()


def test_constants_are_not_computed_before_the_proof() -> None:
    """Opened to serve, the graph below would lay half a gigabyte beside itself before anything is asked."""
    doubled = [helper.make_node("Concat", [f"c{n}"] * 2, [f"c{n + 1}"], axis=1) for n in range(27)]
    graph = model_of(
        *doubled,
        helper.make_node("ReduceMean", ["c27", "axes"], ["mean"], keepdims=1),
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Add", ["a", "mean"], ["y"]),
        c0=np.ones((1, 1), np.float32),
        w=np.ones((4, 1), np.float32),
        axes=np.array([1]),
    )
    with pytest.raises(BoundExceeded, match="bytes for 3 golden inputs"):
        prove_graph(graph, X, outputs=1, limit_s=PROOF_LIMIT_S)


def test_other_shapes_are_refused() -> None:
    prove_graph(linear_graph(np.ones(4)), X, outputs=1, limit_s=PROOF_LIMIT_S)
    with pytest.raises(MalformedBundle, match=r"y has the shape \(3, 1\), expected \(3, 2\)"):
        prove_graph(linear_graph(np.ones(4)), X, outputs=2, limit_s=PROOF_LIMIT_S)
    with pytest.raises(MalformedBundle, match=r"expected x float32 \(batch, 4\)"):
        prove_graph(linear_graph(np.ones(3)), X, outputs=1, limit_s=PROOF_LIMIT_S)


def test_another_format_of_the_runtime_is_not_read(tmp_path: Path) -> None:
    """ONNX Runtime has a format of its own, of which nothing here has seen the operators."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(tmp_path / "model.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    ort.InferenceSession(linear_graph(np.ones(4)), options, providers=["CPUExecutionProvider"])
    content = (tmp_path / "model.ort").read_bytes()
    assert content[4:8] == b"ORTM"
    with pytest.raises(MalformedBundle, match="onnxruntime refuses it"):
        open_session(content)
    with pytest.raises(MalformedBundle):
        check_graph(content)
