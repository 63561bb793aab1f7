"""Training a workload from end to end: data, search, bands, metrics, bundle, registry, champion."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from features.config import load_sections
from features.contract import Contract
from training.assembly import Origin, assemble
from training.bundle import Card, read_bundle, write_bundle
from training.config import TrainingConfig
from training.families.base import load_family
from training.inference import load_model
from training.parallel import ray_map
from training.preparation import Prepared, prepare
from training.progress import Stages
from training.registry import ModelVersion, Registry
from training.search import search
from training.settings import REPOSITORY, Settings
from training.sources.base import with_file
from training.tracking import SearchRuns, git_commit
from training.trials import SearchPlan, TrialRecord


class TrainingBusy(RuntimeError):
    """Another process trains the same workload now."""


@dataclass(frozen=True)
class TrainingOptions:
    """What a caller may change for one training.

    Attributes:
        families: of those in the YAML file; None is all.
        trials: for every family, instead of the numbers in the YAML file.
        seed: instead of the one in the YAML file.
        resume: whether a search that was killed goes on.
        reason: why this training, for the tags of its runs.
        data: a file to learn from, for sources that read files.
    """

    families: tuple[str, ...] | None = None
    trials: int | None = None
    seed: int | None = None
    resume: bool = True
    reason: str = "by hand"
    data: Path | None = None


@dataclass(frozen=True)
class TrainedArm:
    """A new champion and the card of its bundle."""

    version: ModelVersion
    card: Card


def train_workload(
    settings: Settings, workload: str, options: TrainingOptions, stages: Stages
) -> list[TrainedArm]:
    """Train every family and make each best model the champion of its arm. Ray must run.

    Raises:
        FileNotFoundError: no such workload.
        TrainingBusy: it is being trained already.
        ValueError: the configuration or the options do not hold.
        SearchError: all trials of a family failed.
    """
    sections = load_sections(settings.workloads, workload)
    contract = Contract.model_validate(sections["contract"])
    config = TrainingConfig.model_validate(sections.get("training") or {})
    if options.data is not None:
        config = config.model_copy(update={"source": with_file(config.source, options.data)})
    families = _families(config, options)
    seed = config.seed if options.seed is None else options.seed
    with _only_one(settings.var / "tune" / f"{workload}.lock", workload):
        prepared = prepare(contract, config, settings.data, seed, ray_map, stages)
        registry = Registry(settings)
        trainer = _Trainer(settings, config, options, registry, prepared, stages, seed)
        return [trainer.train(family) for family in families]


@dataclass(frozen=True)
class _Trainer:
    """One training of one workload."""

    settings: Settings
    config: TrainingConfig
    options: TrainingOptions
    registry: Registry
    prepared: Prepared
    stages: Stages
    seed: int

    def train(self, family: str) -> TrainedArm:
        """Search, bundle, register, promote."""
        arm = load_family(family).name
        workload = self.prepared.contract.workload
        commit = git_commit(REPOSITORY)
        plan = SearchPlan(
            family, self._trials(family), self.seed, self.prepared.split_hash, self.config.workers
        )
        tags = {
            "workload": workload,
            "family": arm,
            "reason": self.options.reason,
            "data_hash": self.prepared.data_hash,
            "git_commit": commit,
        }
        experiment = self.registry.experiment(workload)
        runs = SearchRuns(self.registry.client, experiment, plan, tags, self.options.resume)
        progress = self.stages(f"Search {arm}")
        progress(0, plan.trials)

        def listen(record: TrialRecord, ended: int) -> None:
            runs.log_trial(record)
            progress(ended, plan.trials)

        state = self.settings.var / "tune" / workload / arm
        best = search(plan, self.prepared.train, self.prepared.valid, state, listen, self.options.resume)
        run_id = runs.run_of(best.trial_id)
        assert run_id is not None, "a trial that ended has been logged"
        origin = Origin(arm, datetime.now(UTC), commit, self.seed)
        parts = assemble(self.prepared, best, origin, self.config.coverage)
        with tempfile.TemporaryDirectory(prefix="raysonde-") as folder:
            directory = Path(folder) / "bundle"
            content_hash = write_bundle(parts, directory)
            load_model(read_bundle(directory, content_hash, workload))
            runs.finish(run_id, parts.card.metrics)
            version = self.registry.register(directory, run_id)
        self.registry.set_champion(version)
        return TrainedArm(version, parts.card)

    def _trials(self, family: str) -> int:
        return self.config.trials_of(family) if self.options.trials is None else self.options.trials


def _families(config: TrainingConfig, options: TrainingOptions) -> tuple[str, ...]:
    if options.families is None:
        return config.families
    unknown = [family for family in options.families if family not in config.families]
    if unknown:
        raise ValueError(f"families: got {unknown}, expected some of {list(config.families)}")
    return options.families


@contextmanager
def _only_one(lock: Path, workload: str) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TrainingBusy(
                f"{workload} is being trained by another process: wait for it to end"
            ) from error
        yield
