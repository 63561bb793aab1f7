"""Cross-validation: every row is predicted once, by what has not seen its entity."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from toy.parts import toy_contract
from toy.source import ToySource

from features.workload import Workload
from training.config import RowsConfig
from training.data.splits import Splits
from training.pipeline.crossval import cross_validate
from training.sources.base import no_progress, serial_map

CONTRACT = toy_contract()
RECORDS = ToySource(things=80, seed=1).records(serial_map, no_progress)
# this module, for its BASELINE
RECORDER = (__name__,)
LINEAR = {"linear": {"alpha": 0.1, "products": True, "huber_delta": 0.5}}


class SplitsRecorder:
    """A baseline that keeps the splits that it is fitted on."""

    name = "recorder"

    def __init__(self) -> None:
        self.seen: list[Splits] = []

    def predict(self, workload: Workload, splits: Splits) -> NDArray[np.float64]:
        self.seen.append(splits)
        return splits.test.target


BASELINE = SplitsRecorder()


@pytest.fixture
def all_splits() -> list[Splits]:
    """Return the splits of the calls with `baselines=RECORDER`, so far."""
    BASELINE.seen.clear()
    return BASELINE.seen


def test_every_row_is_predicted_from_the_other_parts(all_splits: list[Splits]) -> None:
    progress: list[tuple[int, int]] = []
    found = cross_validate(
        CONTRACT,
        RECORDS,
        LINEAR,
        baselines=RECORDER,
        folds=4,
        progress=lambda *done: progress.append(done),
    )
    assert progress == [(1, 4), (2, 4), (3, 4), (4, 4)]
    for splits in all_splits:
        groups = [set(part.group.tolist()) for part in (splits.train, splits.valid, splits.test)]
        assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]
        assert [len(group) for group in groups] == [54, 6, 20]
    assert sum(len(splits.test.target) for splits in all_splits) == len(RECORDS) == len(found.truth)
    assert np.bincount(found.fold).tolist() == [160, 160, 160, 160]


def test_only_what_is_learnt_from_is_thinned_out(all_splits: list[Splits]) -> None:
    rows = RowsConfig(every=4, weigh="rows")
    found = cross_validate(CONTRACT, RECORDS, LINEAR, baselines=RECORDER, folds=2, rows=rows)
    assert len(found.truth) == len(RECORDS)
    for splits in all_splits:
        assert np.unique(np.bincount(splits.train.group)[np.unique(splits.train.group)]).tolist() == [2]
        assert np.unique(np.bincount(splits.valid.group)[np.unique(splits.valid.group)]).tolist() == [8]


@pytest.mark.parametrize(("share", "expected"), [(0.5, [20, 20, 40]), (0.0, [39, 1, 40])])
def test_fits_stop_by_as_many_as_they_are_given(
    share: float, expected: list[int], all_splits: list[Splits]
) -> None:
    cross_validate(CONTRACT, RECORDS, LINEAR, baselines=RECORDER, folds=2, valid_share=share)
    for splits in all_splits:
        parts = (splits.train, splits.valid, splits.test)
        assert [len(np.unique(part.group)) for part in parts] == expected


def test_predictions_stand_beside_their_truths() -> None:
    found = cross_validate(CONTRACT, RECORDS, LINEAR)
    assert list(found.values) == ["linear", "product"]
    metrics = found.metrics()
    assert metrics["product"]["mae"] == pytest.approx(
        np.abs(RECORDS["length_m"] * RECORDS["width_m"] - RECORDS["area_m2"]).mean()
    )
    assert metrics["linear"]["mae"] < 2 * metrics["product"]["mae"]
    errors = found.fold_errors("linear")
    assert len(errors) == 5
    assert np.average(errors) == pytest.approx(metrics["linear"]["mae"], rel=1e-6)


def test_the_same_seed_gives_the_same_and_another_deals_anew() -> None:
    first, second, other = (cross_validate(CONTRACT, RECORDS, LINEAR, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.values["linear"], second.values["linear"])
    assert (first.fold != other.fold).any()


@pytest.mark.parametrize("folds", [1, 81])
def test_numbers_of_folds_that_cannot_be_made_are_refused(folds: int) -> None:
    with pytest.raises(ValueError, match=f"folds: got {folds} for 80 entities"):
        cross_validate(CONTRACT, RECORDS, LINEAR, folds=folds)
