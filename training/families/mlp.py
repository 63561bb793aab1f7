"""A small multilayer perceptron (torch), trained with the Huber loss."""

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

# Beyond this many standard deviations the inputs say no more: a network extrapolates badly.
_CLIP = 5.0
_PATIENCE = 12


class MlpFamily:
    """`training.families.base.Family`; one report an epoch."""

    name = "mlp"
    iterative = True

    def search_space(self, trial: Any) -> None:
        """Shape, step size, regularisation and where the loss turns from square to absolute."""
        trial.suggest_categorical("width", [48, 64, 96])
        trial.suggest_int("depth", 2, 3)
        trial.suggest_float("learning_rate", 1e-3, 8e-3, log=True)
        trial.suggest_float("weight_decay", 1e-5, 1e-2, log=True)
        trial.suggest_float("huber_delta", 0.02, 0.5, log=True)
        trial.suggest_categorical("batch_size", [1024, 2048])
        trial.suggest_categorical("epochs", [40])

    def fit(self, params: Params, train: Split, valid: Split, seed: int, report: Report) -> FittedMlp:
        """Adam with a one-cycle step size; the weights of the best epoch on `valid` are kept.

        Reports the weighted mean absolute error on `valid`, in scaled units.
        """
        generator = torch.Generator().manual_seed(seed)
        network = _Network(train.x.shape[1], int(params["width"]), int(params["depth"]), generator)
        x, y, weight = (torch.from_numpy(np.ascontiguousarray(a)) for a in (train.x, train.y, train.weight))
        epochs, size = int(params["epochs"]), min(int(params["batch_size"]), len(y))
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
                loss = (weight[rows] * loss_of(network(x[rows])[:, 0], y[rows])).mean()
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
        return FittedMlp(network)


class FittedMlp:
    """A trained network."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network.eval()

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, features) -> (n,)."""
        with torch.no_grad():
            y = self._network(torch.from_numpy(np.ascontiguousarray(x, np.float32)))
            return np.asarray(y[:, 0].numpy())

    def to_onnx(self) -> bytes:
        """See `training.families.base.Fitted`."""
        first = next(self._network.parameters())
        program = torch.onnx.export(
            self._network,
            (torch.zeros(2, first.shape[1]),),
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


class _Network(nn.Module):  # type: ignore[misc]
    """Clip, `depth` hidden layers of `width`, and a linear path from the input to the output."""

    def __init__(self, inputs: int, width: int, depth: int, generator: torch.Generator) -> None:
        super().__init__()
        sizes = [inputs] + [width] * depth
        layers: list[nn.Module] = []
        for size_in, size_out in pairwise(sizes):
            layers += [_linear(size_in, size_out, generator), nn.SiLU()]
        self.hidden = nn.Sequential(*layers, _linear(width, 1, generator))
        self.direct = _linear(inputs, 1, generator)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, inputs) -> (n, 1)."""
        clipped = torch.clamp(x, -_CLIP, _CLIP)
        result: torch.Tensor = self.hidden(clipped) + self.direct(clipped)
        return result


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A layer whose start depends on `generator` only, not on torch's global seed."""
    layer = nn.Linear(inputs, outputs)
    bound = 1 / np.sqrt(inputs)
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.zero_()
    return layer


def _absolute_error(network: nn.Module, split: Split) -> float:
    with torch.no_grad():
        found = network(torch.from_numpy(np.ascontiguousarray(split.x)))[:, 0].numpy()
    return float(np.average(np.abs(found - split.y), weights=split.weight))


FAMILY = MlpFamily()
