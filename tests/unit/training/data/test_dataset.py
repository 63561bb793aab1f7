"""From records to a table: one windowing path, entities that count alike, splits that cut none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.config import load_contract
from features.errors import FieldError
from features.windows import cut_windows
from features.workload import load_workload
from training.data.dataset import build_dataset, hash_records, read_matrix, split_chunks, windows_of_chunk
from training.data.splits import split_by_group
from training.runtime.settings import REPOSITORY
from training.sources.base import LOG, WEIGHT, cached_records, load_source, no_progress, serial_map

CONTRACT = load_contract(REPOSITORY / "configs" / "workloads", "apogee")
WORKLOAD = load_workload(CONTRACT)


def records(flights: int = 3, seconds: float = 6.0, rate_hz: float = 20.0) -> pd.DataFrame:
    tables = []
    for i in range(flights):
        time_s = np.arange(0, seconds + i, 1 / rate_hz)
        altitude_m = (100 + i) * time_s - 4.9 * time_s**2
        tables.append(
            pd.DataFrame(
                {"flight_id": f"f{i}", "time_s": time_s, "altitude_m": altitude_m, "apogee_m": 510.0 + i}
            )
        )
    return pd.concat(tables, ignore_index=True)


def test_windows_are_those_of_the_live_path() -> None:
    table = records()
    dataset = build_dataset(CONTRACT, WORKLOAD, table)
    one = table[table["flight_id"] == "f1"]
    live = np.stack([w.values for w in cut_windows(CONTRACT, read_matrix(CONTRACT, one).tolist())])
    rows = dataset.group == 1
    np.testing.assert_array_equal(dataset.raw[rows], live.astype(np.float32))
    np.testing.assert_allclose(dataset.features[rows], WORKLOAD.features(live), rtol=1e-12)
    assert set(dataset.target[rows]) == {511.0}


def test_each_entity_counts_alike() -> None:
    dataset = build_dataset(CONTRACT, WORKLOAD, records(flights=4))
    sums = np.bincount(dataset.group, dataset.weight)
    np.testing.assert_allclose(sums, sums[0])
    assert dataset.weight.mean() == pytest.approx(1.0)


def test_each_row_counts_alike_if_it_is_asked_for() -> None:
    table = records(flights=3)
    assert set(build_dataset(CONTRACT, WORKLOAD, table, weigh="rows").weight) == {1.0}
    table[WEIGHT] = np.where(table["flight_id"] == "f1", 3.0, 1.0)
    dataset = build_dataset(CONTRACT, WORKLOAD, table, weigh="rows")
    ratio = dataset.weight / dataset.weight.min()
    np.testing.assert_allclose(ratio, np.where(dataset.group == 1, 3.0, 1.0))


def test_every_third_row_leaves_each_entity_its_first() -> None:
    dataset = build_dataset(CONTRACT, WORKLOAD, records(flights=4))
    mixed = dataset.take(np.random.default_rng(0).permutation(len(dataset.target)))
    thin = mixed.every(3)
    for group in range(4):
        whole = mixed.end_s[mixed.group == group]
        np.testing.assert_array_equal(thin.end_s[thin.group == group], whole[::3])
    assert mixed.every(1) is mixed
    assert set(mixed.every(10**6).group) == {0, 1, 2, 3}


def test_the_weight_of_a_window_is_that_of_its_last_sample() -> None:
    table = records(flights=1)
    table[WEIGHT] = table["time_s"]
    (log,) = windows_of_chunk(CONTRACT, WORKLOAD, table)
    np.testing.assert_array_equal(log.weight, log.end_s)


def test_logs_of_one_entity_are_not_mixed_but_grouped() -> None:
    table = pd.concat([records(2).assign(**{LOG: "a"}), records(2).assign(**{LOG: "b"})])
    dataset = build_dataset(CONTRACT, WORKLOAD, table)
    alone = build_dataset(CONTRACT, WORKLOAD, records(2))
    assert len(dataset.target) == 2 * len(alone.target)
    assert set(dataset.group) == {0, 1}
    split = split_by_group(dataset, 0, (0.5, 0.5, 0.0, 0.0))
    assert not set(split.train.group) & set(split.valid.group)


def test_chunks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    table = records(flights=5).sample(frac=1.0, random_state=0).sort_values("time_s", kind="stable")
    whole = build_dataset(CONTRACT, WORKLOAD, table)
    monkeypatch.setattr("training.data.dataset._ENTITIES_PER_CHUNK", 2)
    assert [c["flight_id"].nunique() for c in split_chunks(CONTRACT, table)] == [2, 2, 1]
    chunked = build_dataset(CONTRACT, WORKLOAD, table)
    np.testing.assert_array_equal(whole.features, chunked.features)
    np.testing.assert_array_equal(whole.group, chunked.group)
    assert whole.data_hash == chunked.data_hash


def test_the_hash_sees_a_value_a_name_and_nothing_else() -> None:
    table = records()
    changed = table.copy()
    changed["altitude_m"] += np.where(np.arange(len(changed)) == 5, 1e-9, 0.0)
    renamed = table.rename(columns={"apogee_m": "apogee_ft"})
    assert hash_records(table) == hash_records(table.copy())
    assert len({hash_records(t) for t in (table, changed, renamed)}) == 3


def test_missing_columns_and_no_windows_are_named() -> None:
    with pytest.raises(FieldError, match=r"altitude_m: .* expected a column 'altitude_m'"):
        build_dataset(CONTRACT, WORKLOAD, records().drop(columns="altitude_m"))
    with pytest.raises(FieldError, match="at least one entity with one whole window"):
        build_dataset(CONTRACT, WORKLOAD, records(flights=1, seconds=1.0))


def test_splits_are_disjoint_complete_and_of_the_given_shares() -> None:
    dataset = build_dataset(CONTRACT, WORKLOAD, records(flights=20, seconds=3.0))
    splits = split_by_group(dataset, 3, (0.5, 0.1, 0.25, 0.15))
    groups = [set(part.group) for part in (splits.train, splits.valid, splits.calibrate, splits.test)]
    assert [len(g) for g in groups] == [10, 2, 5, 3]
    assert set.union(*groups) == set(range(20))


class CountingSource:
    revision = "1"

    def __init__(self, made: list[int], flights: int) -> None:
        self.made, self.flights = made, flights

    def records(self, mapper: Any, progress: Any) -> pd.DataFrame:
        self.made.append(self.flights)
        return records(self.flights)


def test_records_are_made_once_for_the_same_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    monkeypatch.setattr(
        "training.sources.base.load_source",
        lambda contract, options: CountingSource(made, options["flights"]),
    )
    for flights in (2, 2, 3):
        found = cached_records(
            CONTRACT, {"module": "m", "flights": flights}, tmp_path, serial_map, no_progress
        )
        pd.testing.assert_frame_equal(found, records(flights))
    assert made == [2, 3]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("options", [{}, {"module": "training.sources.base"}])
def test_a_source_without_a_module_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"training\.source\.module: got"):
        load_source(CONTRACT, options)
