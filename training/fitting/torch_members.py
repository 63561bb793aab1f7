"""Networks of the torch families: their start, their common answer, their export."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from training.runtime.tasks.base import Kind


def started(make: Callable[[], Any], seed: int) -> Any:
    """Return what `make` makes with a random start from `seed`; torch's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def sequences(x: Any) -> Any:
    """Reshape (n, features) -> (n, 1, features); sequences stay as they are."""
    return x[:, None] if x.ndim == 2 else x


def kept(rows: int, members: int, width: int, dropout: float, generator: torch.Generator) -> torch.Tensor:
    """(rows, members, width): 0 for what is dropped, and for the rest what keeps the mean."""
    left = torch.rand((rows, members, width), generator=generator) >= dropout
    return left / (1 - dropout)


class Answer(nn.Module):  # type: ignore[misc]
    """The mean of the members of a network; for classes the mean of the probabilities that they give.

    Args:
        network: (n, [steps,] features) -> (members, n, outputs), for classes the logits.
    """

    def __init__(self, network: Any, kind: Kind) -> None:
        super().__init__()
        self.network = network
        self.classes = kind == "classes"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, [steps,] features) -> (n, outputs)."""
        found = self.network(x)
        if self.classes:
            found = torch.softmax(found, dim=-1)
        return found.mean(dim=0)


class FittedMembers:
    """`training.families.base.Fitted`: a trained network, on the CPU.

    Args:
        network: as `Answer` takes it.
        input_shape: of a row of x.
    """

    def __init__(self, network: Any, kind: Kind, input_shape: tuple[int, ...]) -> None:
        self._answer = Answer(network, kind).eval()
        self._input_shape = input_shape

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, *input_shape) -> (n, outputs)."""
        with torch.no_grad():
            return np.asarray(self._answer(torch.from_numpy(np.ascontiguousarray(x, np.float32))).numpy())

    def to_onnx(self) -> bytes:
        """Return the graph; see `training.families.base.Fitted`."""
        program = torch.onnx.export(
            self._answer,
            (torch.zeros(2, *self._input_shape),),
            input_names=["x"],
            output_names=["y"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            verbose=False,
        )
        assert program is not None, "the dynamo exporter returns a program"
        buffer = io.BytesIO()
        onnx.save(program.model_proto, buffer)
        return buffer.getvalue()
