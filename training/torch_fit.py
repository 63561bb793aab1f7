"""What the torch families share: the loop that fits a few members at once, their error, their export."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from training.families.base import Params, Report, Split


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
    """Adam with a one-cycle step size on the Huber loss; the weights of the best epoch on `valid` are kept.

    Args:
        network: on its device; `members(x)` gives (members, n, 1), a call their mean (n, 1).
        train, valid: with `x` as the network takes it.
        params: `epochs`, `learning_rate`, `weight_decay`, `huber_delta`.
        batch_size: rows in a step, at most those of `train`.
        patience: epochs without a better one after which it stops.
        generator: of the order of the rows, on the CPU.
        report: told of each epoch's weighted mean absolute error on `valid`, in scaled units.
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
    loss_of = nn.HuberLoss(reduction="none", delta=float(params["huber_delta"]))
    best_loss, best_state, best_epoch = np.inf, copy.deepcopy(network.state_dict()), 0
    for epoch in range(epochs):
        order = torch.randperm(len(y), generator=generator)[: batches * batch_size].to(device)
        for rows in order.split(batch_size):
            optimizer.zero_grad()
            found = network.members(x[rows])[:, :, 0]
            loss = (weight[rows] * loss_of(found, y[rows].expand_as(found))).sum(0).mean()
            loss.backward()
            optimizer.step()
            schedule.step()
        loss_now = _absolute_error(network, valid, device)
        report(epoch + 1, loss_now)
        if loss_now < best_loss:
            best_loss, best_state, best_epoch = loss_now, copy.deepcopy(network.state_dict()), epoch
        elif epoch - best_epoch >= patience:
            break
    network.load_state_dict(best_state)


def export(network: Any, input_shape: tuple[int, ...]) -> onnx.ModelProto:
    """The graph `x` (batch, *input_shape) -> `y` (batch, 1) of a network on the CPU."""
    program = torch.onnx.export(
        network,
        (torch.zeros(2, *input_shape),),
        input_names=["x"],
        output_names=["y"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        verbose=False,
    )
    assert program is not None, "the dynamo exporter returns a program"
    return program.model_proto


def _absolute_error(network: Any, split: Split, device: torch.device) -> float:
    with torch.no_grad():
        found = network(torch.from_numpy(np.ascontiguousarray(split.x)).to(device))[:, 0].cpu().numpy()
    return float(np.average(np.abs(found - split.y), weights=split.weight))
