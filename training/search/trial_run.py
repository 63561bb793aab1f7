"""A trial of a search, in its own process: the fit, its checkpoints, and the model at the end."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune

from training.families.base import load_family, resumable
from training.fitting.data import Split
from training.fitting.losses import split_loss
from training.fitting.runs import Run
from training.search.trials import WorkerGroup

LOSS = "loss"
STEP = "step"
# whether the checkpoint of a report has the model, as that of the last one has
HAS_MODEL = "has_model"
MODEL_FILE = "model.onnx"
_STATE_FILE = "state"
_STEP_FILE = "step"


@dataclass(frozen=True)
class TrialTask:
    """The arguments that the trials of a search share.

    Attributes:
        family: as `load_family` takes it.
        seed: of the models.
        worker_group: of each trial; None where its process fits alone.
        directory: where worker groups keep their states.
    """

    family: str
    seed: int
    worker_group: WorkerGroup | None
    directory: Path


def run_trial(config: dict[str, Any], task: TrialTask, train: Split, valid: Split) -> None:
    """Fit, report to Tune, and hand over the model with the last report.

    A trial of a resumable family that was killed goes on from its last report.
    """
    link = _Link()
    if task.worker_group is not None:
        # torch takes seconds to import, and only worker groups need it here
        from training.search.data_parallel import WorkerGroupTask, fit_together

        group_task = WorkerGroupTask(task.family, config, train, valid, task.seed)
        directory = task.directory / tune.get_context().get_trial_id()
        model = fit_together(group_task, task.worker_group, directory, link.report)
        link.finish(model.onnx, model.loss)
        return
    family = load_family(task.family)
    again = resumable(family)
    if again is None:
        fitted = family.fit(config, train, valid, task.seed, link.report)
    else:
        fitted = again.fit(config, train, valid, task.seed, link.report, link.run())
    link.finish(fitted.to_onnx(), split_loss(fitted.predict(valid.x), valid))


class _Link:
    """A link between a fit and Tune: each report takes the state that the fit saved before it, if any."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}
        self._step = 0
        checkpoint = tune.get_checkpoint()
        if checkpoint is not None:
            with checkpoint.as_directory() as folder:
                state, step = Path(folder) / _STATE_FILE, Path(folder) / _STEP_FILE
                # a search that was killed may name a checkpoint that is gone: then the trial starts anew
                if state.is_file() and step.is_file():
                    self._files[_STATE_FILE] = state.read_bytes()
                    self._step = int(step.read_text())

    def run(self) -> Run:
        """Return the run for a family that is resumable."""
        return Run(self._files.get(_STATE_FILE), self._keep)

    def report(self, step: int, loss: float) -> None:
        """Report to Tune, as `Family.fit` is to do."""
        self._step = step
        self._report(loss, has_model=False)

    def finish(self, onnx: bytes, loss: float) -> None:
        """Send the last report."""
        self._files[MODEL_FILE] = onnx
        self._step += 1
        self._report(loss, has_model=True)

    def _keep(self, state: bytes) -> None:
        self._files[_STATE_FILE] = state

    def _report(self, loss: float, has_model: bool) -> None:
        metrics = {STEP: self._step, LOSS: loss, HAS_MODEL: has_model}
        if not self._files:
            tune.report(metrics)
            return
        with tempfile.TemporaryDirectory() as folder:
            for name, content in self._files.items():
                (Path(folder) / name).write_bytes(content)
            (Path(folder) / _STEP_FILE).write_text(str(self._step))
            tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(folder))
