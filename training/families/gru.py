"""A few small gated recurrent networks (torch) that answer with their mean, for sequences of features.

Source: Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder for statistical
machine translation", as torch.nn.GRU has it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training.fitting.data import Params, Report, Split
from training.fitting.feature_mask import visible_features
from training.fitting.runs import ALONE, Run
from training.fitting.torch_fit import fit_members
from training.fitting.torch_members import FittedMembers, sequences, started

# Beyond this many standard deviations the inputs say no more: a network extrapolates badly.
_CLIP = 5.0
_PATIENCE = 8
_MEMBERS = 3


class GruFamily:
    """`training.families.base.Family`; one report an epoch. Rows without steps are sequences of one."""

    name = "gru"
    iterative = True
    uses_gpu = True
    resumable = True

    def search_space(self, trial: Any) -> None:
        """Shape, step size, regularisation, the loss of numbers, what is not seen, and the device."""
        trial.suggest_categorical("width", [24, 32, 48])
        trial.suggest_float("learning_rate", 1e-3, 8e-3, log=True)
        trial.suggest_float("weight_decay", 1e-5, 1e-2, log=True)
        trial.suggest_categorical("loss", ["huber"])
        trial.suggest_float("huber_delta", 0.2, 2.0, log=True)
        trial.suggest_categorical("masked_features", [""])
        trial.suggest_categorical("batch_size", [256, 512])
        trial.suggest_categorical("epochs", [24])
        trial.suggest_categorical("device", ["auto"])

    def fit(
        self, params: Params, train: Split, valid: Split, seed: int, report: Report, run: Run = ALONE
    ) -> FittedMembers:
        """Fit a model; see `training.fitting.torch_fit.fit_members`.

        Raises:
            ValueError: there is nothing that `masked_features` names.
        """
        inputs = np.flatnonzero(visible_features(params, train))
        outputs, width = train.y.shape[1], int(params["width"])
        network = started(lambda: _Network(inputs, outputs, width), seed)
        return fit_members(
            network,
            train,
            valid,
            params,
            batch_size=min(int(params["batch_size"]), len(train.y)),
            patience=_PATIENCE,
            generator=torch.Generator().manual_seed(seed),
            report=report,
            run=run,
        )


class _Network(nn.Module):  # type: ignore[misc]
    """`_MEMBERS` networks that differ in how they start, each with a linear path from the last step.

    Args:
        seen: the features that they look at.
    """

    def __init__(self, seen: NDArray[np.int64], outputs: int, width: int) -> None:
        super().__init__()
        self.register_buffer("seen", torch.from_numpy(seen))
        inputs = len(seen)
        self.recurrent = nn.ModuleList(nn.GRU(inputs, width, batch_first=True) for _ in range(_MEMBERS))
        self.last = nn.ModuleList(nn.Linear(width + inputs, outputs) for _ in range(_MEMBERS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, [steps,] inputs) -> (members, n, outputs)."""
        clipped = torch.clamp(sequences(x)[..., self.seen], -_CLIP, _CLIP)
        pairs = zip(self.recurrent, self.last, strict=True)
        ends = [last(torch.cat((gru(clipped)[0][:, -1], clipped[:, -1]), 1)) for gru, last in pairs]
        return torch.stack(ends)


FAMILY = GruFamily()
