"""From a file to recordings and cases, by the source that a workload's YAML file names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from toy.parts import WORKLOADS, toy_contract

from features.contract import Contract
from scripts.replay.recordings import (
    Recording,
    find_recorded,
    iter_steps,
    load_recordings,
    load_records,
    make_cases,
    split_recordings,
)
from scripts.replay.reports.base import load_report
from scripts.replay.reports.each import EachReport
from scripts.replay.reports.event import EventReport
from scripts.replay.request_bodies import instance_body
from training.runtime.settings import REPOSITORY

CONFIGS = REPOSITORY / "configs" / "workloads"
SOURCE = """
from toy.source import _measure
import pandas as pd

class Rows:
    def __init__(self, path): self.path, self.revision = path, "1"
    def records(self, mapper, progress): return pd.read_csv(self.path)

def make_source(contract, path): return Rows(path)
REPORT = 7
"""


def workloads_with(folder: Path, recorded: Mapping[str, str | list[str]]) -> Path:
    """The toy workload with a section `recorded`."""
    sections = yaml.safe_load((WORKLOADS / "toy.yaml").read_text()) | {"recorded": recorded}
    (folder / "toy.yaml").write_text(yaml.safe_dump(sections))
    return folder


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "my_recorded.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "my_recorded"


def test_recorded_flights_end_at_their_apogee(apogee: Contract, recorded_flights: Path) -> None:
    recordings = load_recordings(CONFIGS, apogee, recorded_flights)
    assert len(recordings) == 12
    assert sum(recording.rate_hz >= 10 for recording in recordings) == 11
    for recording in recordings:
        assert recording.rows[-1, 0] == recording.event_s
        assert (np.diff(recording.times) > 0).all()
        assert set(recording.targets) == {recording.truth}


def test_a_workload_of_ones_own_brings_its_reader(tmp_path: Path, own_module: str) -> None:
    workloads = workloads_with(tmp_path, {"module": own_module})
    rows = {"thing": [3, 4, 3], "length_m": [1, 2, 3], "width_m": [4, 5, 6], "area_m2": [4, 10, 18]}
    pd.DataFrame(rows).to_csv(tmp_path / "things.csv", index=False)
    recordings = load_recordings(workloads, toy_contract(), tmp_path / "things.csv")
    assert [(r.entity, r.rows[:, 1].tolist(), r.targets.tolist()) for r in recordings] == [
        ("3", [4, 6], [4, 18]),
        ("4", [5], [10]),
    ]
    assert np.isnan(recordings[0].rows[:, 2]).all()


def test_without_one_the_source_of_the_training_has_to_take_a_path(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("thing\n")
    with pytest.raises(ValueError, match=r"toy\.source reads no files: .*unexpected keyword argument 'path'"):
        load_records(WORKLOADS, toy_contract(), tmp_path / "x.csv")


def test_a_file_that_is_not_there_is_named(apogee: Contract, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file .*x\.csv"):
        load_records(CONFIGS, apogee, tmp_path / "x.csv")


def test_the_recorded_file_is_the_named_one_or_the_only_one(tmp_path: Path) -> None:
    workloads = workloads_with(tmp_path, {})
    assert find_recorded(workloads, "toy", tmp_path) == ()
    folder = tmp_path / "toy"
    folder.mkdir()
    (folder / "notes.md").write_text("")
    (folder / "a.parquet").write_text("")
    assert find_recorded(workloads, "toy", tmp_path) == (folder / "a.parquet",)
    (folder / "b.csv").write_text("")
    with pytest.raises(ValueError, match=r"has \['a\.parquet', 'b\.csv'\]: say which as recorded\.file"):
        find_recorded(workloads, "toy", tmp_path)
    workloads_with(tmp_path, {"file": "toy/b.csv"})
    assert find_recorded(workloads, "toy", tmp_path) == (folder / "b.csv",)
    assert find_recorded(workloads, "toy", tmp_path / "elsewhere") == ()
    workloads_with(tmp_path, {"file": ["toy/a.parquet", "toy/c.csv", "toy/b.csv"]})
    assert find_recorded(workloads, "toy", tmp_path) == (folder / "a.parquet", folder / "b.csv")


def test_a_report_is_the_named_one_or_that_of_the_workload_or_errors_one_by_one(
    apogee: Contract, tmp_path: Path, own_module: str
) -> None:
    assert isinstance(load_report(CONFIGS, apogee), EventReport)
    assert isinstance(load_report(WORKLOADS, toy_contract()), EachReport)
    workloads = workloads_with(tmp_path, {"report": own_module})
    with pytest.raises(TypeError, match=r"my_recorded\.REPORT: got int, expected a scripts\.replay\.reports"):
        load_report(workloads, toy_contract())


def test_a_window_has_the_truth_of_its_last_row(apogee: Contract) -> None:
    times = np.arange(0, 6, 0.05)
    rows = np.full((len(times), len(apogee.fields)), np.nan)
    rows[:, 0], rows[:, 1] = times, times**2
    cases = make_cases(apogee, Recording("A", "", rows, times, 1000 + times))
    assert len(cases) == 15
    for case in cases:
        assert case.target == 1000 + case.end_s
        assert case.raw is not None
        assert case.raw.shape == apogee.raw_shape
        assert case.samples[-1, 0] == case.end_s


def test_a_recording_without_a_window_has_a_case_that_only_the_system_can_answer(apogee: Contract) -> None:
    rows = np.zeros((3, len(apogee.fields)))
    rows[:, 0] = times = np.array([0.0, 2.0, 4.0])
    recording = Recording("A", "", rows, times, np.zeros(3))
    steps = list(iter_steps(apogee, recording))
    assert [at_s for at_s, _ in steps] == [0, 2, 4]
    assert [case is None for _, case in steps] == [True, True, False]
    assert make_cases(apogee, recording) == []


def test_categories_are_sent_by_name_and_the_entity_of_a_row_is_its_id() -> None:
    fields = [
        {"name": "Size", "kind": "category", "categories": ["small", "large"]},
        {"name": "Age", "unit": "year", "min": 0, "max": 9, "fill": {"constant": 1}},
    ]
    contract = Contract.model_validate(
        {
            "workload": "shirts",
            "schema_version": "1.0",
            "module": "none",
            "entity": "id",
            "fields": fields,
            "target": {"name": "Price", "unit": "EUR", "min": 0, "max": 99},
        }
    )
    records = pd.DataFrame({"id": [7, 8], "Size": ["large", "small"], "Age": [3.0, np.nan], "Price": [9, 8]})
    (first,), (second,) = (make_cases(contract, one) for one in split_recordings(contract, records))
    assert (
        instance_body(contract, "x", first) == b'{"id":"x","schema_version":"1.0","Size":"large","Age":3.0}'
    )
    assert instance_body(contract, "y", second) == b'{"id":"y","schema_version":"1.0","Size":"small"}'
    assert (first.recording.entity, float(second.target)) == ("7", 8.0)
