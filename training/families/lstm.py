"""Small bidirectional LSTM networks (torch) that answer with their mean, for sequences of features.

Source: Hochreiter and Schmidhuber (1997), "Long short-term memory"; Graves and Schmidhuber (2005),
"Framewise phoneme classification with bidirectional LSTM", as torch.nn.LSTM has it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from training.fitting.data import Params, Report, Split
from training.fitting.runs import ALONE, Run
from training.fitting.torch_fit import fit_members
from training.fitting.torch_members import FittedMembers, kept, sequences, started

# Beyond this many standard deviations the inputs say no more: a network extrapolates badly.
_CLIP = 5.0
_PATIENCE = 8
_MEMBERS = 2


class LstmFamily:
    """`training.families.base.Family`; one report an epoch. Rows without steps are sequences of one."""

    name = "lstm"
    iterative = True
    uses_gpu = True
    resumable = True

    def search_space(self, trial: Any) -> None:
        """Shape, step size, what holds it back, where the loss of numbers turns, and the device."""
        trial.suggest_categorical("width", [24, 32, 48])
        trial.suggest_float("learning_rate", 1e-3, 8e-3, log=True)
        trial.suggest_float("weight_decay", 1e-5, 1e-2, log=True)
        trial.suggest_float("dropout", 0.0, 0.4)
        trial.suggest_categorical("huber_delta", [1.0])
        trial.suggest_categorical("batch_size", [256, 512])
        trial.suggest_categorical("epochs", [24])
        trial.suggest_categorical("device", ["auto"])

    def fit(
        self, params: Params, train: Split, valid: Split, seed: int, report: Report, run: Run = ALONE
    ) -> FittedMembers:
        """Fit a model; see `training.fitting.torch_fit.fit_members`."""
        inputs, outputs, width = train.x.shape[-1], train.y.shape[1], int(params["width"])
        network = started(lambda: _Network(inputs, outputs, width), seed)
        generator = torch.Generator().manual_seed(seed)
        return fit_members(
            network,
            train,
            valid,
            params,
            batch_size=min(int(params["batch_size"]), len(train.y)),
            patience=_PATIENCE,
            generator=generator,
            report=report,
            run=run,
            noise=lambda rows: kept(rows, _MEMBERS, 2 * width, float(params["dropout"]), generator),
        )


class _Network(nn.Module):  # type: ignore[misc]
    """`_MEMBERS` networks that differ in how they start, each with a linear path from the last step."""

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        self.recurrent = nn.ModuleList(
            nn.LSTM(inputs, width, batch_first=True, bidirectional=True) for _ in range(_MEMBERS)
        )
        self.last = nn.ModuleList(nn.Linear(2 * width + inputs, outputs) for _ in range(_MEMBERS))

    def forward(self, x: torch.Tensor, kept: torch.Tensor | None = None) -> torch.Tensor:
        """(n, [steps,] inputs), and (n, members, 2 width) while it learns -> (members, n, outputs)."""
        clipped = torch.clamp(sequences(x), -_CLIP, _CLIP)
        found = []
        for member, (lstm, last) in enumerate(zip(self.recurrent, self.last, strict=True)):
            ends = lstm(clipped)[1][0]
            state = torch.cat((ends[0], ends[1]), 1)
            if kept is not None:
                state = state * kept[:, member]
            found.append(last(torch.cat((state, clipped[:, -1]), 1)))
        return torch.stack(found)


FAMILY = LstmFamily()
