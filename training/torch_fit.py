"""The loop that fits the networks of the torch families, a few members at once."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import nn

from training.families.base import Params, Report, Split
from training.losses import loss_of
from training.torch_members import Answer


def fit_members(
    network: Any,
    train: Split,
    valid: Split,
    params: Params,
    *,
    batch_size: int,
    patience: int,
    generator: torch.Generator,
    report: Report,
) -> None:
    """Adam with a one-cycle step size; the weights of the best epoch on `valid` are kept.

    The loss of numbers is Huber's, of classes the cross entropy. An output that is not known costs nothing.

    Args:
        network: on its device; see `training.torch_members.Answer`.
        train, valid: with `x` as the network takes it.
        params: `epochs`, `learning_rate`, `weight_decay`, and `huber_delta` for numbers.
        batch_size: rows in a step, at most those of `train`.
        patience: epochs without a better one after which it stops.
        generator: of the order of the rows, on the CPU.
        report: told of `loss_of` on `valid` after each epoch.
    """
    device = next(network.parameters()).device
    x, y, weight = (
        torch.from_numpy(np.ascontiguousarray(a)).to(device) for a in (train.x, train.y, train.weight)
    )
    epochs, batches = int(params["epochs"]), len(y) // batch_size
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=float(params["weight_decay"]))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=float(params["learning_rate"]), total_steps=epochs * batches, pct_start=0.2
    )
    costs = cross_entropy if train.kind == "classes" else HuberCosts(float(params["huber_delta"]))
    answer = Answer(network, train.kind)
    best_loss, best_state, best_epoch = np.inf, copy.deepcopy(network.state_dict()), 0
    for epoch in range(epochs):
        order = torch.randperm(len(y), generator=generator)[: batches * batch_size].to(device)
        for rows in order.split(batch_size):
            optimizer.zero_grad()
            loss = (weight[rows, None] * costs(network(x[rows]), y[rows])).sum(0).mean()
            loss.backward()
            optimizer.step()
            schedule.step()
        loss_now = _loss_on(answer, valid, device)
        report(epoch + 1, loss_now)
        if loss_now < best_loss:
            best_loss, best_state, best_epoch = loss_now, copy.deepcopy(network.state_dict()), epoch
        elif epoch - best_epoch >= patience:
            break
    network.load_state_dict(best_state)


class HuberCosts:
    """Square near the truth, absolute beyond `delta` from it; 0 where the truth is not known."""

    def __init__(self, delta: float) -> None:
        self._loss = nn.HuberLoss(reduction="none", delta=delta)

    def __call__(self, found: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(members, n, outputs) of (n, outputs)."""
        known = torch.isfinite(y)
        costs = self._loss(found, torch.where(known, y, 0).expand_as(found))
        return torch.where(known, costs, 0)


def cross_entropy(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """(members, n, 1) of logits (members, n, classes) and truths (n, classes)."""
    return -(y * torch.log_softmax(logits, dim=-1)).sum(dim=-1, keepdim=True)


def _loss_on(answer: Answer, split: Split, device: torch.device) -> float:
    with torch.no_grad():
        found = answer(torch.from_numpy(np.ascontiguousarray(split.x)).to(device)).cpu().numpy()
    return loss_of(found, split)
