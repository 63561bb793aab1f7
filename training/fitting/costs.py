"""Costs that a fit of a network makes smaller: distances between outputs and truths."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from training.fitting.data import Params

# costs(found, y): (members, n, costs) of (members, n, outputs) and truths (n, outputs)
Costs = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Groups = tuple[tuple[int, ...], ...]

# Of squares in scaled units: where the truth is hit, a distance has no slope otherwise.
_LEAST_SQUARE = 1e-5


def make_costs(params: Params, groups: Groups) -> Costs:
    """Make the costs of numbers that parameters ask for.

    Args:
        params: `loss`, "huber" with `huber_delta` unless it is given, or "distance".
        groups: columns of the outputs that are the sides of one distance.

    Raises:
        ValueError: there is no such loss.
    """
    loss = params.get("loss", "huber")
    if loss == "distance":
        return DistanceCosts(groups)
    if loss != "huber":
        raise ValueError(f"loss: got {loss!r}, expected 'huber' or 'distance'")
    return HuberCosts(float(params["huber_delta"]))


class HuberCosts:
    """Square near the truth, absolute beyond `delta` from it; 0 where the truth is not known."""

    def __init__(self, delta: float) -> None:
        self._loss = nn.HuberLoss(reduction="none", delta=delta)

    def __call__(self, found: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(members, n, outputs) of (n, outputs)."""
        known = torch.isfinite(y)
        costs = self._loss(found, torch.where(known, y, 0).expand_as(found))
        return torch.where(known, costs, 0)


class DistanceCosts:
    """The distance of each group of outputs, the absolute error of others; 0 where a side is not known."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups

    def __call__(self, found: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(members, n, groups and outputs of none) of (n, outputs)."""
        grouped = {column for group in self._groups for column in group}
        alone = [(column,) for column in range(y.shape[1]) if column not in grouped]
        known = torch.isfinite(y)
        square = torch.square(found - torch.where(known, y, 0))
        costs = []
        for group in (*self._groups, *alone):
            columns = list(group)
            distance = torch.sqrt(square[..., columns].sum(-1) + _LEAST_SQUARE)
            costs.append(torch.where(known[:, columns].all(-1), distance, 0))
        return torch.stack(costs, dim=-1)


def cross_entropy(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """(members, n, 1) of logits (members, n, classes) and truths (n, classes)."""
    return -(y * torch.log_softmax(logits, dim=-1)).sum(dim=-1, keepdim=True)
