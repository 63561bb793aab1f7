"""Preparation of scaled splits from a workload's source; a `Mapper` spreads the heavy parts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from features.contract import Contract
from features.scaling import Moments, StandardScaler
from features.workload import Workload, anchors_of, load_workload
from training.baselines.base import fitted_baselines
from training.config import TrainingConfig
from training.data.dataset import Dataset, build_dataset, with_entity
from training.data.splits import Splits, split_by_group, split_by_time
from training.fitting.data import Split
from training.pipeline.progress import Stages
from training.runtime.tasks.base import Task
from training.runtime.tasks.factory import make_task
from training.sources.base import Mapper, cached_records, no_progress

_PARTS = 8


@dataclass(frozen=True)
class Prepared:
    """The data that the families of one workload learn from and are evaluated on.

    Attributes:
        splits: unscaled.
        train, valid: scaled by `scaler` and `target_scaler`, which were fitted on the train split.
        baselines: what the fitted baselines say about the test split, as `Workload.baselines` does.
    """

    contract: Contract
    workload: Workload
    task: Task
    splits: Splits
    scaler: StandardScaler
    target_scaler: StandardScaler
    train: Split
    valid: Split
    baselines: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def data_hash(self) -> str:
        """sha256 of the records."""
        return self.splits.train.data_hash

    @cached_property
    def split_hash(self) -> str:
        """sha256 of what the families see; unlike `data_hash` it changes with the code of the features."""
        digest = hashlib.sha256()
        for part in (self.train, self.valid):
            for array in (part.x, part.y, part.weight):
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def prepare(
    contract: Contract, config: TrainingConfig, data: Path, seed: int, mapper: Mapper, stages: Stages
) -> Prepared:
    """`source_splits` with their scalers.

    Raises:
        ValueError: too few entities for four parts, or a split by time of what has no times.
    """
    return scaled(contract, config, source_splits(contract, config, data, seed, mapper, stages), mapper)


def source_splits(
    contract: Contract, config: TrainingConfig, data: Path, seed: int, mapper: Mapper, stages: Stages
) -> Splits:
    """Make or read the records, cut the windows, split them, thin out those to learn from.

    Raises:
        ValueError: as for `prepare`.
    """
    progress = stages("Source data")
    records = cached_records(contract, config.source, data, mapper, progress)
    entities = with_entity(contract, records)[contract.entity].nunique()
    progress(entities, entities)
    dataset = build_dataset(
        contract,
        load_workload(contract),
        records,
        mapper,
        stages("Windows and features"),
        weigh=config.rows.weigh,
    )
    splits = _split(contract, config, dataset, seed)
    splits = replace(splits, train=splits.train.every(config.rows.every))
    for name, part in vars(splits).items():
        if not len(part.target):
            raise ValueError(f"shares.{name}: got no row of {entities} entities, expected at least 1")
    return splits


def scaled(contract: Contract, config: TrainingConfig, splits: Splits, mapper: Mapper) -> Prepared:
    """Fit the scalers on the train split."""
    workload = load_workload(contract)
    task = make_task(contract, workload)
    scaler = _fit_scaler(workload, splits.train, mapper)
    target_scaler = task.fit_target_scaler(encoded_target(task, workload, splits.train))
    train, valid = (
        scaled_split(task, workload, part, scaler, target_scaler) for part in (splits.train, splits.valid)
    )
    baselines = fitted_baselines(config.baselines, workload, splits)
    return Prepared(contract, workload, task, splits, scaler, target_scaler, train, valid, baselines)


def _split(contract: Contract, config: TrainingConfig, dataset: Dataset, seed: int) -> Splits:
    shares = config.shares.as_tuple()
    if config.split == "group":
        return split_by_group(dataset, seed, shares)
    if contract.window is None:
        raise ValueError("training.split: got 'time', expected 'group' for a workload without a window")
    return split_by_time(dataset, shares)


def scaled_split(
    task: Task, workload: Workload, part: Dataset, scaler: StandardScaler, target_scaler: StandardScaler
) -> Split:
    """Return a part of the data as a family sees it."""
    y = target_scaler.transform(encoded_target(task, workload, part))
    return Split(
        x=scaler.transform(part.features).astype(np.float32),
        y=y.astype(np.float32),
        weight=(part.weight / part.weight.mean()).astype(np.float32),
        kind=task.kind,
        groups=task.groups,
        features=tuple(workload.feature_names),
    )


def encoded_target(task: Task, workload: Workload, part: Dataset) -> np.ndarray:
    """Return what a model of these rows learns, (n, outputs), unscaled."""
    return task.encode(part.target, anchors_of(workload, part.features))


def _fit_scaler(workload: Workload, train: Dataset, mapper: Mapper) -> StandardScaler:
    moments = mapper(Moments.of, np.array_split(train.features, _PARTS), no_progress)
    return StandardScaler.fit(workload.feature_names, moments)
