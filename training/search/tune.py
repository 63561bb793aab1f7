"""Parameter search of one family: Optuna proposes, Ray Tune runs the trials in parallel, ASHA stops the bad.

A search keeps its state in a directory. One that was killed goes on where it was: finished trials are not
run again, and others of a resumable family go on from their last report. A trial whose process dies does so
too, once. The first trials of a seed are always the same. Which trials of an iterative family ASHA stops
depends also on how fast they run beside each other.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler
from ray.tune.search.optuna import OptunaSearch

from training.families.base import load_family
from training.fitting.data import Split
from training.search.fixed_hyperparameters import search_space_without
from training.search.resource_requests import plan_worker_group, resource_request
from training.search.search_state import SearchStateWriter, put_back_state
from training.search.trial_run import HAS_MODEL, LOSS, MODEL_FILE, STEP, TrialTask, run_trial
from training.search.trials import Best, Listener, SearchPlan, TrialRecord, WorkerGroup
from training.search.worker_group import release_group

_EXPERIMENT = "tune"
_GROUPS = "worker_groups"
_PLAN_FILE = "plan.json"
_STATE_FILE = "state.zip"
_GRACE_STEPS = 5
_REDUCTION = 3
_MAX_STEPS = 100_000
# Tune's own tables, tensorboard files and handling of Ctrl-C are off; its state is written every second.
_TUNE_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
}


class SearchError(RuntimeError):
    """A search of which no trial gave a model."""


def search(
    plan: SearchPlan,
    train: Split,
    valid: Split,
    directory: Path,
    listener: Listener,
    resume: bool = True,
    at_once: int | None = None,
) -> Best:
    """Run all trials of `plan`, or those that an earlier call with an equal plan did not finish.

    The loss is `training.fitting.losses.split_loss` on `valid`.

    Args:
        directory: of the state, for this search alone.
        listener: called with each trial when it ends.
        resume: False throws an unfinished search away.
        at_once: trials that run beside each other at most; None: as many as there are cores for.

    Raises:
        SearchError: every trial failed.
    """
    going_on = _claim(directory, plan, resume)
    family = load_family(plan.family)
    worker_group = plan_worker_group(family, plan.workers, ray.available_resources())
    task = TrialTask(plan.family, plan.seed, worker_group, directory / _GROUPS)
    trial = tune.with_parameters(run_trial, task=task, train=train, valid=valid)
    claim = resource_request(family, worker_group, ray.cluster_resources().get("GPU", 0.0))
    trainable = tune.with_resources(trial, claim)
    experiment = directory / _EXPERIMENT
    with _tune_environment(), _listening(listener):
        if going_on and (directory / _STATE_FILE).is_file():
            put_back_state(directory / _STATE_FILE, experiment)
            tuner = tune.Tuner.restore(str(experiment), trainable, resume_errored=True)
        else:
            shutil.rmtree(experiment, ignore_errors=True)
            tuner = tune.Tuner(
                trainable,
                tune_config=_tune_config(plan, worker_group, at_once),
                run_config=_run_config(directory),
            )
        best = _best_of(plan, tuner.fit())
    # what is finished is not continued: the same call later searches anew
    shutil.rmtree(directory)
    return best


def _claim(directory: Path, plan: SearchPlan, resume: bool) -> bool:
    """Make the directory that of this plan; return whether it holds an unfinished search to go on with."""
    plan_file = directory / _PLAN_FILE
    wanted = json.dumps(asdict(plan), sort_keys=True)
    if resume and plan_file.is_file() and plan_file.read_text() == wanted:
        return True
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    plan_file.write_text(wanted)
    return False


def _tune_config(plan: SearchPlan, worker_group: WorkerGroup | None, at_once: int | None) -> tune.TuneConfig:
    family = load_family(plan.family)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=plan.seed)
    asha = ASHAScheduler(
        time_attr=STEP, max_t=_MAX_STEPS, grace_period=_GRACE_STEPS, reduction_factor=_REDUCTION
    )
    return tune.TuneConfig(
        metric=LOSS,
        mode="min",
        num_samples=plan.trials,
        search_alg=OptunaSearch(
            search_space_without(family, plan.fixed), metric=LOSS, mode="min", sampler=sampler
        ),
        scheduler=asha if family.iterative else FIFOScheduler(),
        max_concurrent_trials=_fewest(at_once, worker_group.at_once if worker_group else None),
        # a process that waits for its worker group cannot be given another trial
        reuse_actors=worker_group is None,
    )


def _fewest(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _run_config(directory: Path) -> tune.RunConfig:
    return tune.RunConfig(
        name=_EXPERIMENT,
        storage_path=str(directory),
        verbose=0,
        callbacks=[_ListenerCallback(directory / _GROUPS), SearchStateWriter(directory / _STATE_FILE)],
        checkpoint_config=tune.CheckpointConfig(num_to_keep=2),
        failure_config=tune.FailureConfig(max_failures=1),
    )


def _best_of(plan: SearchPlan, results: tune.ResultGrid) -> Best:
    finished = [r for r in results if r.checkpoint is not None and r.metrics and r.metrics.get(HAS_MODEL)]
    if not finished:
        why = _last_line(results.errors[0]) if results.errors else "none made a model"
        raise SearchError(f"{plan.family}: all {plan.trials} trials failed: {why}")
    # a tie goes to the trial that was proposed first, whichever ended first
    best = min(finished, key=lambda r: (r.metrics[LOSS], json.dumps(r.config, sort_keys=True)))
    with best.checkpoint.as_directory() as folder:
        onnx = (Path(folder) / MODEL_FILE).read_bytes()
    return Best(best.metrics["trial_id"], best.config, best.metrics[LOSS], onnx)


def _last_line(error: object) -> str:
    return str(error).strip().splitlines()[-1]


# Tune pickles its callbacks for `Tuner.restore`, and a listener need not be picklable.
_listener: ContextVar[Listener] = ContextVar("listener")


class _ListenerCallback(tune.Callback):  # type: ignore[misc]
    """Notifies the current listener of each trial that ended, and removes a worker group left behind."""

    def __init__(self, groups: Path) -> None:
        self._groups = groups
        self._curves: dict[str, dict[int, float]] = {}

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        if LOSS in result:
            self._curves.setdefault(trial.trial_id, {})[result[STEP]] = result[LOSS]

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        release_group(self._groups / trial.trial_id)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._notify(trials, trial, None)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._notify(trials, trial, _last_line(Path(trial.error_file).read_text()))

    def _notify(self, trials: list[Trial], trial: Trial, error: str | None) -> None:
        release_group(self._groups / trial.trial_id)
        result = trial.last_result or {}
        record = TrialRecord(
            trial_id=trial.trial_id,
            params=dict(trial.config),
            curve=self._curves.pop(trial.trial_id, {}),
            loss=result.get(LOSS) if result.get(HAS_MODEL) else None,
            duration_s=float(result.get("time_total_s", 0.0)),
            error=error,
        )
        ended = {t.trial_id for t in trials if t.is_finished()} | {trial.trial_id}
        _listener.get()(record, len(ended))


@contextmanager
def _listening(listener: Listener) -> Iterator[None]:
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def _tune_environment() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _TUNE_ENVIRONMENT}
    os.environ.update(_TUNE_ENVIRONMENT)
    # what goes wrong in a trial is in its record; Tune would print whole tracebacks
    logger = logging.getLogger("ray.tune")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            # a trial that starts over after a kill reports its first steps once more
            warnings.filterwarnings("ignore", message="The reported value is ignored")
            yield
    finally:
        logger.setLevel(level)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
