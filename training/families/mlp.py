"""A few small multilayer perceptrons (torch) that answer with their mean, trained with the Huber loss."""

from __future__ import annotations

import copy
import io
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from training.families.base import Params, Report, Split
from training.flat import flat, with_input_shape

# Beyond this many standard deviations the inputs say no more: a network extrapolates badly.
_CLIP = 5.0
_PATIENCE = 12
_MEMBERS = 4
_LEAST_BATCHES, _LEAST_BATCH = 12, 64


class MlpFamily:
    """`training.families.base.Family`; one report an epoch."""

    name = "mlp"
    iterative = True

    def search_space(self, trial: Any) -> None:
        """Shape, step size, regularisation and where the loss turns from square to absolute."""
        trial.suggest_categorical("width", [32, 48, 64])
        trial.suggest_int("depth", 2, 3)
        trial.suggest_float("learning_rate", 1e-3, 8e-3, log=True)
        trial.suggest_float("weight_decay", 1e-5, 1e-2, log=True)
        trial.suggest_float("huber_delta", 0.02, 0.5, log=True)
        trial.suggest_categorical("batch_size", [1024, 2048])
        trial.suggest_categorical("epochs", [30])

    def fit(self, params: Params, train: Split, valid: Split, seed: int, report: Report) -> FittedMlp:
        """Adam with a one-cycle step size; the weights of the best epoch on `valid` are kept.

        Reports the weighted mean absolute error on `valid`, in scaled units.
        """
        generator = torch.Generator().manual_seed(seed)
        network = _Network(flat(train.x).shape[1], int(params["width"]), int(params["depth"]), generator)
        x, y, weight = (
            torch.from_numpy(np.ascontiguousarray(a)) for a in (flat(train.x), train.y, train.weight)
        )
        epochs, size = int(params["epochs"]), _batch_size(int(params["batch_size"]), len(y))
        batches = max(len(y) // size, 1)
        optimizer = torch.optim.AdamW(network.parameters(), weight_decay=float(params["weight_decay"]))
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=float(params["learning_rate"]), total_steps=epochs * batches, pct_start=0.2
        )
        loss_of = nn.HuberLoss(reduction="none", delta=float(params["huber_delta"]))
        best_loss, best_state, best_epoch = np.inf, network.state_dict(), 0
        for epoch in range(epochs):
            order = torch.randperm(len(y), generator=generator)
            for rows in order[: batches * size].split(size):
                optimizer.zero_grad()
                found = network.members(x[rows])[:, :, 0]
                loss = (weight[rows] * loss_of(found, y[rows].expand_as(found))).sum(0).mean()
                loss.backward()
                optimizer.step()
                schedule.step()
            loss_now = _absolute_error(network, valid)
            report(epoch + 1, loss_now)
            if loss_now < best_loss:
                best_loss, best_state, best_epoch = loss_now, copy.deepcopy(network.state_dict()), epoch
            elif epoch - best_epoch >= _PATIENCE:
                break
        network.load_state_dict(best_state)
        return FittedMlp(network, train.x.shape[1:])


def _batch_size(wanted: int, rows: int) -> int:
    """As wanted; smaller where few rows would make few steps."""
    return min(wanted, max(rows // _LEAST_BATCHES, _LEAST_BATCH), rows)


class FittedMlp:
    """A trained network."""

    def __init__(self, network: _Network, input_shape: tuple[int, ...]) -> None:
        self._network = network.eval()
        self._input_shape = input_shape

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, *input_shape) -> (n,)."""
        with torch.no_grad():
            y = self._network(torch.from_numpy(np.ascontiguousarray(flat(x), np.float32)))
            return np.asarray(y[:, 0].numpy())

    def to_onnx(self) -> bytes:
        """See `training.families.base.Fitted`."""
        program = torch.onnx.export(
            self._network,
            (torch.zeros(2, self._network.inputs),),
            input_names=["x"],
            output_names=["y"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            verbose=False,
        )
        assert program is not None, "the dynamo exporter returns a program"
        buffer = io.BytesIO()
        onnx.save(with_input_shape(program.model_proto, self._input_shape), buffer)
        return buffer.getvalue()


class _Network(nn.Module):  # type: ignore[misc]
    """`_MEMBERS` networks side by side, each with a linear path from the input to the output.

    They differ in how they start. Their mean varies less with the seed than one network does, above all on
    inputs unlike those of the training.
    """

    def __init__(self, inputs: int, width: int, depth: int, generator: torch.Generator) -> None:
        super().__init__()
        sizes = [inputs] + [width] * depth
        self.inputs = inputs
        self.hidden = nn.ModuleList(_Layers(a, b, generator) for a, b in pairwise(sizes))
        self.last = _Layers(width, 1, generator)
        self.direct = _Layers(inputs, 1, generator)

    def members(self, x: torch.Tensor) -> torch.Tensor:
        """(n, inputs) -> (members, n, 1)."""
        clipped = torch.clamp(x, -_CLIP, _CLIP)
        state = clipped
        for layers in self.hidden:
            state = nn.functional.silu(layers(state))
        result: torch.Tensor = self.last(state) + self.direct(clipped)
        return result

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, inputs) -> (n, 1)."""
        return self.members(x).mean(dim=0)


class _Layers(nn.Module):  # type: ignore[misc]
    """One linear layer of every member. Its start depends on `generator`, not on torch's global seed."""

    def __init__(self, inputs: int, outputs: int, generator: torch.Generator) -> None:
        super().__init__()
        bound = float(1 / np.sqrt(inputs))
        start = torch.rand((_MEMBERS, inputs, outputs), generator=generator) * 2 - 1
        self.weight = nn.Parameter(start * bound)
        self.bias = nn.Parameter(torch.zeros(_MEMBERS, 1, outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, inputs) or (members, n, inputs) -> (members, n, outputs)."""
        return torch.matmul(x, self.weight) + self.bias


def _absolute_error(network: _Network, split: Split) -> float:
    with torch.no_grad():
        found = network(torch.from_numpy(np.ascontiguousarray(flat(split.x))))[:, 0].numpy()
    return float(np.average(np.abs(found - split.y), weights=split.weight))


FAMILY = MlpFamily()
