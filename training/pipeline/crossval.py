"""Cross-validation on a recorded table: each part is predicted by models that learnt from the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.contract import Contract
from features.scaling import Moments, StandardScaler
from features.targets import AnyTarget
from features.workload import Workload, anchors_of, load_workload
from training.baselines.base import fitted_baselines
from training.config import RowsConfig
from training.data.dataset import Dataset, build_dataset
from training.data.splits import Splits
from training.families.base import load_family
from training.fitting.data import Params
from training.pipeline.evaluation import point_metrics, point_predictions
from training.pipeline.preparation import encoded_target, scaled_split
from training.runtime.tasks.factory import make_task
from training.sources.base import Progress, no_progress

FloatArray = NDArray[np.float64]

# Of the entities that a model may learn from, those that it stops early by.
_VALID_SHARE = 0.1


@dataclass(frozen=True)
class CrossValidation:
    """Predictions of families and baselines for rows that they have not learnt from.

    Attributes:
        target: of the contract.
        truth: its array.
        fold: (n,) number of the part that each row was in.
        values: predictions by name, as `point_predictions` gives them; families first.
    """

    target: AnyTarget
    truth: FloatArray
    fold: NDArray[np.int64]
    values: Mapping[str, FloatArray]

    def metrics(self) -> dict[str, dict[str, float]]:
        """`point_metrics` over all rows, by name."""
        return {name: point_metrics(self.target, self.truth, value) for name, value in self.values.items()}

    def fold_errors(self, name: str) -> list[float]:
        """Return the metric in each part."""
        found = []
        for number in np.unique(self.fold):
            rows = self.fold == number
            errors = point_metrics(self.target, self.truth[rows], self.values[name][rows])
            found.append(errors[self.target.metric])
        return found


def cross_validate(
    contract: Contract,
    records: pd.DataFrame,
    params: Mapping[str, Params],
    *,
    baselines: tuple[str, ...] = (),
    folds: int = 5,
    seed: int = 0,
    rows: RowsConfig | None = None,
    valid_share: float = _VALID_SHARE,
    progress: Progress = no_progress,
) -> CrossValidation:
    """Partition the entities of `records` into `folds` parts and predict each from the others.

    Args:
        contract: of the workload.
        records: as a source makes them.
        params: of each family, by its name in `load_family`.
        baselines: modules of baselines that are fitted.
        folds: number of parts.
        seed: of the parts and the models.
        rows: what the fits see of the rows; all of them, entities alike, unless it is given.
        valid_share: of the entities that are learnt from, those that fits stop early by; at least one.
        progress: called with each part that is done.

    Raises:
        ValueError: fewer than two folds, or fewer entities than folds.
        FieldError: the records lack a column, or hold what the contract does not allow.
    """
    workload = load_workload(contract)
    rows = rows or RowsConfig()
    dataset = build_dataset(contract, workload, records, weigh=rows.weigh)
    fold = _partition(dataset.group, folds, seed)
    values: dict[str, FloatArray] = {}
    for number in range(folds):
        in_test = fold == number
        valid = _pick(dataset.group[~in_test], valid_share, [seed, number])
        splits = _splits(dataset, in_test, np.isin(dataset.group, valid), rows.every)
        predictions = (
            dict(_predictions(contract, workload, splits, params, seed))
            | dict(workload.baselines(splits.test.features))
            | dict(fitted_baselines(baselines, workload, splits))
        )
        for name, value in predictions.items():
            values.setdefault(name, np.empty((len(fold), *value.shape[1:])))[fold == number] = value
        progress(number + 1, folds)
    return CrossValidation(contract.target, dataset.target, fold, values)


def _partition(group: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """(n,) the part of each row; the rows of an entity are in one part."""
    names, code = np.unique(group, return_inverse=True)
    if not 2 <= folds <= len(names):
        raise ValueError(f"folds: got {folds} for {len(names)} entities, expected 2 to as many as there are")
    part = np.arange(len(names)) % folds
    return np.asarray(np.random.default_rng(seed).permutation(part)[code])


def _pick(group: NDArray[np.int64], share: float, seed: list[int]) -> NDArray[np.int64]:
    """Draw a share of the entities, one at least."""
    entities = np.random.default_rng(seed).permutation(np.unique(group))
    return entities[: max(int(share * len(entities)), 1)]


def _splits(dataset: Dataset, in_test: NDArray[np.bool_], in_valid: NDArray[np.bool_], every: int) -> Splits:
    """`every` n-th of the rows of others to learn from; nothing to calibrate."""
    none = np.array([], dtype=np.int64)
    return Splits(
        train=dataset.take(np.flatnonzero(~in_test & ~in_valid)).every(every),
        valid=dataset.take(np.flatnonzero(in_valid)),
        calibrate=dataset.take(none),
        test=dataset.take(np.flatnonzero(in_test)),
    )


def _predictions(
    contract: Contract, workload: Workload, splits: Splits, params: Mapping[str, Params], seed: int
) -> Iterator[tuple[str, FloatArray]]:
    """Yield the predictions of every family for the test part, by the same scaling as in a training."""
    task = make_task(contract, workload)
    scaler = StandardScaler.fit(workload.feature_names, [Moments.of(splits.train.features)])
    target_scaler = task.fit_target_scaler(encoded_target(task, workload, splits.train))
    train, valid, test = (
        scaled_split(task, workload, part, scaler, target_scaler)
        for part in (splits.train, splits.valid, splits.test)
    )
    anchors = anchors_of(workload, splits.test.features)
    for family, chosen in params.items():
        fitted = load_family(family).fit(chosen, train, valid, seed, lambda *_: None)
        outputs = target_scaler.inverse(fitted.predict(test.x).astype(np.float64))
        predicted = task.predict(outputs, anchors, task.uncalibrated(coverage=0.9))
        yield load_family(family).name, point_predictions(contract.target, predicted)
