"""Training a workload from end to end: data, search, bands, metrics, bundle, registry, champion."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from features.config import load_sections
from features.contract import Contract
from training.config import TrainingConfig
from training.pipeline.arm_training import ArmTrainer, TrainedArm
from training.pipeline.parallel import ray_map
from training.pipeline.preparation import prepare
from training.pipeline.progress import Stages
from training.registry.models import Registry
from training.runtime.settings import Settings
from training.search.fixed_hyperparameters import check_fixed
from training.sources.base import with_file


class TrainingBusy(RuntimeError):
    """Another process trains the same workload now."""


@dataclass(frozen=True)
class TrainingOptions:
    """Options of one training, as a caller may change them.

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
    check_fixed(config.search)
    if options.data is not None:
        config = config.model_copy(update={"source": with_file(config.source, options.data)})
    families = _families(config, options)
    seed = config.seed if options.seed is None else options.seed
    with training_lock(settings, workload):
        prepared = prepare(contract, config, settings.data, seed, ray_map, stages)
        registry = Registry(settings)
        trainer = ArmTrainer(
            registry=registry,
            config=config,
            prepared=prepared,
            searches=settings.var / "tune" / workload,
            stages=stages,
            seed=seed,
            trials=options.trials,
            resume=options.resume,
            tags={"reason": options.reason},
        )
        arms = []
        for family in families:
            arms.append(trainer.train(family))
            registry.set_champion(arms[-1].version)
        return arms


def _families(config: TrainingConfig, options: TrainingOptions) -> tuple[str, ...]:
    if options.families is None:
        return config.families
    unknown = [family for family in options.families if family not in config.families]
    if unknown:
        raise ValueError(f"families: got {unknown}, expected some of {list(config.families)}")
    return options.families


@contextmanager
def training_lock(settings: Settings, workload: str) -> Iterator[None]:
    """Hold the lock of a workload's training; no other process trains it meanwhile.

    Raises:
        TrainingBusy: one does.
    """
    lock = settings.var / "tune" / f"{workload}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TrainingBusy(
                f"{workload} is being trained by another process: wait for it to end"
            ) from error
        yield
