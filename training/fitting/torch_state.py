"""The state of a fit as bytes: everything that changes while a network is fitted."""

from __future__ import annotations

import copy
import io
import math
from typing import Any

import torch


class FitState:
    """The state of a fit, with all that it needs to resume: the order of the remaining rows, too.

    Attributes:
        epochs_done: of all.
        best_weights: of the epoch with the lowest loss.
    """

    def __init__(self, network: Any, optimizer: Any, schedule: Any, generator: torch.Generator) -> None:
        self._stateful = {"network": network, "optimizer": optimizer, "schedule": schedule}
        self._network = network
        self._generator = generator
        self.epochs_done = 0
        self._best_epoch = 1
        self._best_loss = math.inf
        self.best_weights = copy.deepcopy(network.state_dict())

    @property
    def epochs_since_best(self) -> int:
        """Epochs in a row that were no better."""
        return self.epochs_done - self._best_epoch

    def end_epoch(self, loss: float) -> None:
        """Count an epoch that ended with this loss."""
        self.epochs_done += 1
        if loss < self._best_loss:
            self._best_epoch, self._best_loss = self.epochs_done, loss
            self.best_weights = copy.deepcopy(self._network.state_dict())

    def to_bytes(self) -> bytes:
        """Return the state as bytes for `load`; tensors and plain values only."""
        state = {name: part.state_dict() for name, part in self._stateful.items()} | {
            "generator": self._generator.get_state(),
            "epochs_done": self.epochs_done,
            "best_epoch": self._best_epoch,
            "best_loss": self._best_loss,
            "best_weights": self.best_weights,
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        return buffer.getvalue()

    def load(self, saved: bytes) -> None:
        """Go back to where `to_bytes` was called, on whatever device; nothing in it is executed."""
        state = torch.load(io.BytesIO(saved), map_location="cpu", weights_only=True)
        for name, part in self._stateful.items():
            part.load_state_dict(state[name])
        self._generator.set_state(state["generator"])
        self.epochs_done = state["epochs_done"]
        self._best_epoch, self._best_loss = state["best_epoch"], state["best_loss"]
        self.best_weights = state["best_weights"]
