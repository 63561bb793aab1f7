"""A few small multilayer perceptrons (torch) that answer with their mean."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training.fitting.data import Params, Report, Split
from training.fitting.runs import ALONE, Run
from training.fitting.torch_fit import fit_members
from training.fitting.torch_members import FittedMembers, kept

# Beyond this many standard deviations the inputs say no more: a network extrapolates badly.
_CLIP = 5.0
_PATIENCE = 12
_LEAST_BATCHES, _LEAST_BATCH = 12, 64


class MlpFamily:
    """`training.families.base.Family`; one report an epoch."""

    name = "mlp"
    iterative = True
    uses_gpu = True
    resumable = True

    def search_space(self, trial: Any) -> None:
        """Shape, step size, regularisation, the loss of numbers, and the device."""
        trial.suggest_categorical("width", [32, 48, 64])
        trial.suggest_int("depth", 2, 3)
        trial.suggest_categorical("members", [4])
        trial.suggest_float("learning_rate", 1e-3, 8e-3, log=True)
        trial.suggest_float("weight_decay", 1e-5, 1e-2, log=True)
        trial.suggest_categorical("loss", ["huber"])
        trial.suggest_float("huber_delta", 0.02, 0.5, log=True)
        trial.suggest_categorical("input_dropout", [0.0])
        trial.suggest_categorical("dropout", [0.0])
        trial.suggest_categorical("linear_path", [True])
        trial.suggest_categorical("batch_size", [1024, 2048])
        trial.suggest_categorical("epochs", [30])
        trial.suggest_categorical("device", ["auto"])

    def fit(
        self, params: Params, train: Split, valid: Split, seed: int, report: Report, run: Run = ALONE
    ) -> FittedMembers:
        """Fit a model; see `training.fitting.torch_fit.fit_members`."""
        generator = torch.Generator().manual_seed(seed)
        seen, width, depth = _informative_columns(train.x), int(params["width"]), int(params["depth"])
        # models of before that are fitted again name neither
        members, linear_path = int(params.get("members", 4)), bool(params.get("linear_path", True))
        shape = _Shape(members, seen, width, depth, train.y.shape[1], linear_path)
        dropouts = [float(params.get(name, 0.0)) for name in ("input_dropout", "dropout")]
        columns = [(len(seen), dropouts[0]), (width, dropouts[1])]
        return fit_members(
            _Network(shape, generator),
            train,
            valid,
            params,
            batch_size=_batch_size(int(params["batch_size"]), len(train.y)),
            patience=_PATIENCE,
            generator=generator,
            report=report,
            run=run,
            noise=(lambda rows: _kept(rows, members, columns, generator)) if any(dropouts) else None,
        )


def _batch_size(wanted: int, rows: int) -> int:
    """Return the wanted batch size, or a smaller one where few rows would make few steps."""
    return min(wanted, max(rows // _LEAST_BATCHES, _LEAST_BATCH), rows)


class _Shape(NamedTuple):
    """Number of networks, the columns of flat inputs that they see, and `outputs` of each."""

    members: int
    seen: NDArray[np.int64]
    width: int
    depth: int
    outputs: int
    linear_path: bool


class _Network(nn.Module):  # type: ignore[misc]
    """Networks side by side, each with a linear path from the input to the output if so shaped.

    They differ in how they start, and in what dropout hides while they learn. Their mean varies less with the
    seed than one network does, above all on inputs unlike those of the training.
    """

    def __init__(self, shape: _Shape, generator: torch.Generator) -> None:
        super().__init__()
        members, seen, self.width, depth, outputs, linear_path = shape
        self.register_buffer("seen", torch.from_numpy(seen))
        sizes = [len(seen)] + [self.width] * depth
        self.hidden = nn.ModuleList(_Layers(members, a, b, generator) for a, b in pairwise(sizes))
        self.last = _Layers(members, self.width, outputs, generator)
        self.direct = _Layers(members, len(seen), outputs, generator) if linear_path else None

    def forward(self, x: torch.Tensor, kept: torch.Tensor | None = None) -> torch.Tensor:
        """(n, [steps,] features), and (n, members, seen + width) while it learns -> (members, n, outputs)."""
        clipped = torch.clamp(x.flatten(1)[:, self.seen], -_CLIP, _CLIP)
        if kept is not None:
            of_inputs, of_states = kept.transpose(0, 1).split([len(self.seen), self.width], dim=2)
            clipped = clipped * of_inputs
        state = clipped
        for number, layers in enumerate(self.hidden):
            state = nn.functional.silu(layers(state))
            if kept is not None and number == 0:
                state = state * of_states
        result: torch.Tensor = self.last(state)
        return result if self.direct is None else result + self.direct(clipped)


def _kept(
    rows: int, members: int, columns: list[tuple[int, float]], generator: torch.Generator
) -> torch.Tensor:
    """(rows, members, all columns) for counts of columns, each with the share that is dropped."""
    return torch.cat([kept(rows, members, width, share, generator) for width, share in columns], dim=2)


def _informative_columns(x: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the columns of `flat(x)` without those of earlier steps that always equal the last step."""
    if x.ndim == 2:
        return np.arange(x.shape[1])
    steps, features = x.shape[1:]
    seen = np.ones((steps, features), bool)
    seen[:-1] = (x[:, :-1] != x[:, -1:]).any(axis=(0, 1))
    return np.flatnonzero(seen)


class _Layers(nn.Module):  # type: ignore[misc]
    """A linear layer of every member. Its start depends on `generator`, not on torch's global seed."""

    def __init__(self, members: int, inputs: int, outputs: int, generator: torch.Generator) -> None:
        super().__init__()
        bound = float(1 / np.sqrt(inputs))
        start = torch.rand((members, inputs, outputs), generator=generator) * 2 - 1
        self.weight = nn.Parameter(start * bound)
        self.bias = nn.Parameter(torch.zeros(members, 1, outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, inputs) or (members, n, inputs) -> (members, n, outputs)."""
        return torch.matmul(x, self.weight) + self.bias


FAMILY = MlpFamily()
