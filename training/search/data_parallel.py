"""Data-parallel fits: Ray Train's TorchTrainer inside a trial of Ray Tune.

The process of the trial only waits: it claims next to nothing, the workers claim the cores. Every worker has
all rows and takes its share of each batch; DDP makes the gradients of the batch of those of the shares. The
first worker saves the state after each epoch, and a fit that is called again with the same folder goes on.
"""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import ray.train
import torch
from ray.train.torch import TorchTrainer, get_device, prepare_model
from ray.util.queue import Empty, Queue

from training.families.base import ResumableFamily, load_family
from training.fitting.data import Params, Report, Split
from training.fitting.losses import split_loss
from training.fitting.runs import Run
from training.search.trials import WorkerGroup
from training.search.worker_group import release_group, remember_group

_STATE_FILE = "state"
_WAIT_S = 0.2
_HEALTH_CHECK_S = "0.2"


@dataclass(frozen=True)
class WorkerGroupTask:
    """The arguments of a fit, see `training.families.base.Family.fit`; `family` as `load_family` takes it."""

    family: str
    params: Params
    train: Split
    valid: Split
    seed: int


@dataclass(frozen=True)
class WorkerGroupModel:
    """The model that a worker group has made.

    Attributes:
        onnx: the graph.
        loss: of the model on the valid split.
    """

    onnx: bytes
    loss: float


def fit_together(
    task: WorkerGroupTask, worker_group: WorkerGroup, directory: Path, report: Report
) -> WorkerGroupModel:
    """Fit by a worker group. Ray must run, and its cores must be free for what the worker group claims.

    Args:
        directory: of the state. One that an earlier call with the same arguments has left is gone on with.
        report: called after each epoch, in the thread of the caller.

    Raises:
        Exception: what the first worker that failed has raised.
    """
    # the controller, which polls for epochs, takes this from the process that starts it
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", _HEALTH_CHECK_S)
    release_group(directory)
    reports = Queue(actor_options={"num_cpus": 0})
    trainer = _trainer(task, worker_group, directory, reports)
    with ThreadPoolExecutor(max_workers=1) as pool:
        fit = pool.submit(trainer.fit)
        try:
            while not fit.done() or not reports.empty():
                try:
                    item = reports.get(timeout=_WAIT_S)
                except Empty:
                    continue
                report(*item)
        finally:
            # a caller that wants no more reports ends the fit by this
            release_group(directory)
            reports.shutdown()
    return _model_of(fit)


def _trainer(
    task: WorkerGroupTask, worker_group: WorkerGroup, directory: Path, reports: Queue
) -> TorchTrainer:
    return TorchTrainer(
        partial(_work, task, directory),
        scaling_config=ray.train.ScalingConfig(
            num_workers=worker_group.workers,
            use_gpu=worker_group.use_gpu,
            resources_per_worker={"CPU": worker_group.cpus_each},
        ),
        run_config=ray.train.RunConfig(
            name=directory.name,
            storage_path=str(directory.parent),
            callbacks=[_Forward(reports)],
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=1),
        ),
    )


def _model_of(fit: Future[ray.train.Result]) -> WorkerGroupModel:
    try:
        model = fit.result().return_value
    except ray.train.TrainingFailedError as error:
        failures = getattr(error, "worker_failures", {})
        if not failures:
            raise
        raise failures[min(failures)] from error
    assert isinstance(model, WorkerGroupModel), "the first worker returns one"
    return model


class _Forward(ray.train.UserCallback):  # type: ignore[misc]
    """A callback in the group's controller that passes the first worker's reports to the trial's process."""

    def __init__(self, reports: Queue) -> None:
        self._reports = reports

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:
        self._reports.put((metrics[0]["step"], metrics[0]["loss"]))


def _work(task: WorkerGroupTask, directory: Path) -> WorkerGroupModel | None:
    """Fit in one worker."""
    context, checkpoint = ray.train.get_context(), ray.train.get_checkpoint()
    peers = _Peers(context.get_world_rank(), context.get_world_size())
    if peers.number == 0:
        remember_group(directory)
    saved = None
    if checkpoint is not None:
        with checkpoint.as_directory() as folder:
            saved = (Path(folder) / _STATE_FILE).read_bytes()
    states: list[bytes] = []

    def report(step: int, loss: float) -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / _STATE_FILE).write_bytes(states.pop())
            kept = ray.train.Checkpoint.from_directory(folder) if peers.number == 0 else None
            ray.train.report({"step": step, "loss": loss}, checkpoint=kept)

    run = Run(saved, states.append, peers)
    family = cast(ResumableFamily, load_family(task.family))
    # a worker has a GPU of its own, which need not be the first that it sees
    params = {**task.params, "device": str(get_device())}
    fitted = family.fit(params, task.train, task.valid, task.seed, report, run)
    if peers.number != 0:
        return None
    return WorkerGroupModel(fitted.to_onnx(), split_loss(fitted.predict(task.valid.x), task.valid))


@dataclass(frozen=True)
class _Peers:
    """`training.fitting.runs.Peers` by torch.distributed."""

    number: int
    count: int

    def join(self, network: Any) -> Any:
        return prepare_model(network, move_to_device=False)

    def agree(self, value: float) -> float:
        values = [value]
        torch.distributed.broadcast_object_list(values, src=0)
        return values[0]
