"""The loop that fits the networks of the torch families, a few members at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from training.fitting.costs import cross_entropy, make_costs
from training.fitting.data import Params, Report, Split
from training.fitting.device import pick_device
from training.fitting.losses import split_loss
from training.fitting.runs import Run
from training.fitting.torch_members import Answer, FittedMembers
from training.fitting.torch_state import FitState

# noise(rows) -> (rows, ...), drawn on the CPU
Noise = Callable[[int], torch.Tensor]


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
    run: Run,
    noise: Noise | None = None,
) -> FittedMembers:
    """Adam with a one-cycle step size; the weights of the best epoch on `valid` are kept.

    The loss of numbers is as `training.fitting.costs` has it, of classes the cross entropy. An output that
    is not known costs nothing.

    Args:
        network: as `training.fitting.torch_members.Answer` takes it; it is moved, and comes back to the CPU.
        train, valid: with `x` as the network takes it.
        params: `epochs`, `learning_rate`, `weight_decay`, what `make_costs` takes, and perhaps `device`.
        batch_size: rows in a step, at most those of `train`.
        patience: epochs without a better one after which it stops.
        generator: of the order of the rows, on the CPU.
        report: called with `split_loss` on `valid` after each epoch.
        run: a fit that goes on ends with the weights that it would have had without the stop.
        noise: what the network takes as a second argument while it learns, drawn from `generator`.
    """
    network = network.to(pick_device(str(params.get("device", "auto"))))
    epochs, batches = int(params["epochs"]), len(train.y) // batch_size
    optimizer, schedule = _one_cycle(network, params, epochs * batches)
    state = FitState(network, optimizer, schedule, generator)
    if run.saved is not None:
        state.load(run.saved)
    batch_loss = _BatchLoss(run.peers.join(network), train, params, batch_size, noise, run)
    answer = Answer(network, train.kind)
    while state.epochs_done < epochs and state.epochs_since_best < patience:
        order = torch.randperm(len(train.y), generator=generator)[: batches * batch_size]
        for rows in order.split(batch_size):
            optimizer.zero_grad()
            batch_loss.of(rows).backward()
            optimizer.step()
            schedule.step()
        loss_now = run.peers.agree(_loss_on(answer, valid, batch_loss.device))
        state.end_epoch(loss_now)
        if run.save is not None:
            run.save(state.to_bytes())
        report(state.epochs_done, loss_now)
    network.load_state_dict(state.best_weights)
    return FittedMembers(network.cpu(), train.kind, train.x.shape[1:])


def _one_cycle(
    network: Any, params: Params, steps: int
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.OneCycleLR]:
    """Return Adam over the parameters of a network, and its step size over so many steps."""
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=float(params["weight_decay"]))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=float(params["learning_rate"]), total_steps=steps, pct_start=0.2
    )
    return optimizer, schedule


class _BatchLoss:
    """The loss of this worker's share of a batch. The mean over the workers is that of the whole batch."""

    def __init__(
        self, network: Any, train: Split, params: Params, batch_size: int, noise: Noise | None, run: Run
    ) -> None:
        self.device = next(network.parameters()).device
        self._network = network
        self._x, self._y, self._weight = (
            torch.tensor(part, device=self.device) for part in (train.x, train.y, train.weight)
        )
        self._costs = cross_entropy if train.kind == "classes" else make_costs(params, train.groups)
        self._batch_size = batch_size
        self._noise = noise
        self._peers = run.peers

    def of(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the random numbers of the rows of a whole batch, the same in every worker."""
        share = slice(self._peers.number, None, self._peers.count)
        mine = rows[share].to(self.device)
        inputs = [self._x[mine]]
        if self._noise is not None:
            # for the whole batch, so that a row gets the same noise however many workers there are
            inputs.append(self._noise(len(rows))[share].to(self.device))
        costs = self._costs(self._network(*inputs), self._y[mine])
        total = (self._weight[mine, None] * costs).sum(0)
        return total.sum() * self._peers.count / (len(rows) * total.shape[1])


def _loss_on(answer: Answer, split: Split, device: torch.device) -> float:
    with torch.no_grad():
        found = answer(torch.tensor(split.x, device=device)).cpu().numpy()
    return split_loss(found, split)
