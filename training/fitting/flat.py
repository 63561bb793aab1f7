"""Sequences for families that take one row of numbers: the steps are laid side by side, in the graph too."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

_FLAT = "x_flat"


def flat(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, features) as it is; (n, steps, features) -> (n, steps * features)."""
    return x.reshape(len(x), -1)


def with_input_shape(model: onnx.ModelProto, shape: tuple[int, ...]) -> onnx.ModelProto:
    """Turn a model whose `x` is (batch, width) into one of `x` (batch, *shape) with as many numbers.

    A model that takes this shape already is returned as it is.
    """
    if len(shape) == 1:
        return model
    graph = model.graph
    for node in graph.node:
        node.input[:] = [_FLAT if name == "x" else name for name in node.input]
    graph.node.insert(0, helper.make_node("Flatten", ["x"], [_FLAT], axis=1))
    (position,) = (i for i, entry in enumerate(graph.input) if entry.name == "x")
    batch = graph.input[position].type.tensor_type.shape.dim[0].dim_param or "batch"
    graph.input[position].CopyFrom(helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, *shape]))
    onnx.checker.check_model(model)
    return model
