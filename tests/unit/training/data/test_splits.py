"""A split by time: the test part comes last, nothing is drawn, blocks are shared evenly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from toy.parts import WORKLOADS, toy_contract

from features.config import load_sections
from training.config import TrainingConfig
from training.data.dataset import Dataset
from training.data.splits import Splits, split_by_time
from training.pipeline.preparation import prepare
from training.pipeline.progress import no_stages
from training.sources.base import serial_map

SHARES = (0.495, 0.1, 0.15, 0.255)
HOURS = 8000


def dataset(stations: int = 3) -> Dataset:
    end_s = np.tile(np.arange(HOURS) * 3600.0, stations)
    rows = len(end_s)
    group = np.repeat(np.arange(stations), HOURS).astype(np.int64)
    number = np.arange(rows, dtype=np.float64)
    raw = np.zeros((rows, 1), np.float32)
    return Dataset(number[:, None], number, np.ones(rows), group, end_s, raw, "hash")


def parts_of(splits: Splits) -> list[Dataset]:
    return list(vars(splits).values())


def test_every_row_is_in_one_part_and_the_shares_hold() -> None:
    parts = parts_of(split_by_time(dataset(), SHARES))
    rows = np.sort(np.concatenate([part.target for part in parts]))
    np.testing.assert_array_equal(rows, np.arange(3 * HOURS))
    np.testing.assert_allclose([len(part.target) / (3 * HOURS) for part in parts], SHARES, atol=0.01)


def test_what_is_tested_comes_after_all_that_is_learnt_from() -> None:
    *before, test = parts_of(split_by_time(dataset(), SHARES))
    assert max(part.end_s.max() for part in before) < test.end_s.min()
    assert test.end_s.min() == pytest.approx((1 - SHARES[3]) * (HOURS - 1) * 3600.0, abs=3600)


def test_each_part_sees_every_season() -> None:
    *before, _ = parts_of(split_by_time(dataset(), SHARES))
    quarters = np.array([0.0, 0.25, 0.5, 0.75, 1.0]) * (1 - SHARES[3]) * HOURS * 3600.0
    for part, share in zip(before, SHARES, strict=False):
        counts, _ = np.histogram(part.end_s, quarters)
        expected = share / (1 - SHARES[3]) / 4 * 3 * HOURS * (1 - SHARES[3])
        np.testing.assert_allclose(counts, expected, rtol=0.35)


def test_a_group_is_a_block_of_one_entity_and_in_one_part() -> None:
    whole, parts = dataset(), parts_of(split_by_time(dataset(), SHARES))
    groups = [set(part.group.tolist()) for part in parts]
    assert sum(map(len, groups)) == len(set.union(*groups))
    for part in parts:
        for group in np.unique(part.group)[:20]:
            rows = part.group == group
            assert np.ptp(part.end_s[rows]) < 60 * 3600
            assert len(set(whole.group[part.target[rows].astype(int)])) == 1


def test_stations_are_split_at_the_same_times() -> None:
    train = split_by_time(dataset(), SHARES).train
    by_station = [set(train.end_s[train.target // HOURS == station]) for station in range(3)]
    assert by_station[0] == by_station[1] == by_station[2]


def test_nothing_is_drawn() -> None:
    first, second = (split_by_time(dataset(), SHARES) for _ in range(2))
    for one, other in zip(parts_of(first), parts_of(second), strict=True):
        np.testing.assert_array_equal(one.target, other.target)


def test_a_table_has_no_time_to_split_by(tmp_path: Any) -> None:
    config = TrainingConfig.model_validate(load_sections(WORKLOADS, "toy")["training"] | {"split": "time"})
    with pytest.raises(ValueError, match=r"training\.split: got 'time', expected 'group'"):
        prepare(toy_contract(), config, tmp_path, 0, serial_map, no_stages)
