"""Offline scoring: what is answered, which rows are wrong, how inputs are cut, how a run goes on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from toy.parts import toy_contract, toy_parts

from features.errors import FieldError
from features.windows import cut_windows
from features.workload import load_workload
from tests.support.flights import fly, rows_of
from tests.support.models import apogee_contract, make_parts
from tests.support.reentry import reentry_contract, reentry_parts, reentry_records
from training.data.dataset import windows_of_chunk, with_entity
from training.runtime.inference import Model
from training.scoring.columns import array_columns
from training.scoring.errors import OtherRun
from training.scoring.parts import Manifest, Parts, discard, write_part
from training.scoring.plan import RecordsReader, open_records, plan_parts, rows_in
from training.scoring.scorer import Scorer, Stamp

STAMP = Stamp("linear", "3", "sha256:ab")
TOY = Model(toy_parts())


def toy_records(rows: int, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "thing": [str(i // 8) for i in range(rows)],
            "length_m": rng.uniform(1, 9, rows),
            "width_m": rng.uniform(1, 9, rows).astype(np.float32),
            "noise": rng.normal(size=rows),
            "extra": np.arange(rows),
        }
    )


def toy_raw_of(records: pa.Table) -> np.ndarray:
    names = ("length_m", "width_m", "noise")
    return np.column_stack([records[name].to_numpy().astype(np.float64) for name in names])


def numbers(answers: pa.Table) -> np.ndarray:
    names = [*array_columns(toy_contract().target), "outlier_score"]
    return np.column_stack([answers[name].to_numpy() for name in names])


def apogee_records(seeds: range) -> pa.Table:
    """Small flights one after the other, two logs each."""
    tables = []
    for seed in seeds:
        for log, rate_hz in (("barometer", 20.0), ("gps", 5.0)):
            samples, _ = fly(seed, rate_hz)
            columns: dict[str, Any] = {"flight_id": [f"F{seed}"] * len(samples), "log": [log] * len(samples)}
            columns |= {"time_s": samples[:, 0], "altitude_m": samples[:, 1]}
            tables.append(pa.table(columns))
    return pa.concat_tables(tables)


def test_every_row_of_a_table_gets_what_the_model_says() -> None:
    records = toy_records(20_000)
    answers = Scorer(TOY, STAMP).answers(records, np.arange(500, 20_500))
    raw = toy_raw_of(records)
    predicted = TOY.predict(raw)
    expected = [predicted["prediction"], predicted["lower"], predicted["upper"]]
    expected.append(TOY.scaler.outliers.score(TOY.scaler.transform(raw).matrix))
    np.testing.assert_allclose(numbers(answers), np.column_stack(expected), rtol=1e-6)
    assert answers["row"].to_pylist() == list(range(500, 20_500))
    assert answers["entity"].to_pylist() == records["thing"].to_pylist()
    assert answers["error"].null_count == len(answers)
    assert {name: answers[name][7].as_py() for name in ("arm", "model_version", "bundle")} == {
        "arm": "linear",
        "model_version": "3",
        "bundle": "sha256:ab",
    }


def test_a_wrong_row_says_why_and_disturbs_no_other() -> None:
    records = toy_records(6)
    whole = Scorer(TOY, STAMP).answers(records, np.arange(6))
    length = records["length_m"].to_pylist()
    length[1], length[2], length[4] = 10.5, None, float("inf")
    records = records.set_column(1, "length_m", pa.array(length))
    answers = Scorer(TOY, STAMP).answers(records, np.arange(6))
    expected = "expected a finite number of m in [0, 10]"
    assert answers["error"].to_pylist() == [
        None,
        f"length_m: got 10.5, {expected}",
        f"length_m: got None, {expected}",
        None,
        f"length_m: got inf, {expected}",
        None,
    ]
    assert answers["prediction"].null_count == answers["outlier_score"].null_count == 3
    for row in (0, 3, 5):
        assert answers["prediction"][row].as_py() == pytest.approx(whole["prediction"][row].as_py(), rel=1e-6)


def test_what_was_not_sent_is_filled_as_the_contract_says() -> None:
    records = toy_records(3)
    noise = pa.array([None, 0.0, float("nan")])
    answers = [
        Scorer(TOY, STAMP).answers(table, np.arange(3))
        for table in (
            records.set_column(3, "noise", noise),
            records.set_column(3, "noise", pa.array([0.0] * 3)),
            records.drop_columns(["noise"]),
        )
    ]
    assert answers[0] == answers[1] == answers[2]


def test_windows_are_those_of_a_stream() -> None:
    contract, model = apogee_contract(), Model(make_parts("mlp"))
    records = apogee_records(range(2))
    answers = Scorer(model, STAMP).answers(records, np.arange(len(records)))
    windows = []
    for seed in range(2):
        for rate_hz in (20.0, 5.0):
            windows += cut_windows(contract, rows_of(contract, fly(seed, rate_hz)[0]))
    predicted = model.predict(np.stack([window.values for window in windows]))
    assert answers["error"].null_count == len(answers) == len(windows)
    assert answers["end_s"].to_pylist() == [window.end_s for window in windows]
    for name in ("prediction", "lower", "upper"):
        np.testing.assert_allclose(answers[name].to_numpy(), predicted[name], rtol=1e-6)
    at = answers["row"].to_numpy()
    np.testing.assert_array_equal(records["time_s"].to_numpy()[at], answers["end_s"].to_numpy())
    assert answers["entity"].to_pylist() == [records["flight_id"][int(row)].as_py() for row in at]


def test_a_wrong_sample_is_left_out_and_a_log_without_a_window_says_why() -> None:
    scorer = Scorer(Model(make_parts("mlp")), STAMP)
    flight = apogee_records(range(1)).slice(0, 100)
    altitude = flight["altitude_m"].to_pylist()
    wrong = flight.set_column(3, "altitude_m", pa.array([*altitude[:60], 1e6, *altitude[61:]]))
    short = flight.slice(0, 10).set_column(0, "flight_id", pa.array(["short"] * 10))
    answers = scorer.answers(pa.concat_tables([wrong, short]), np.arange(110))
    errors = answers.filter(answers["error"].is_valid())
    assert errors["row"].to_pylist() == [60, 109]
    assert errors["entity"].to_pylist() == ["F0", "short"]
    assert errors["error"][0].as_py().startswith("altitude_m: got 1000000.0")
    assert errors["error"][1].as_py().startswith("samples: got '0.450 s of samples'")
    without = scorer.answers(pa.concat_tables([flight.slice(0, 60), flight.slice(61)]), np.arange(99))
    sound = answers.filter(answers["error"].is_null())
    assert sound["prediction"] == without["prediction"]


def test_classes_have_a_column_each() -> None:
    contract, model = reentry_contract(), Model(reentry_parts("random_forest"))
    tracks = with_entity(contract, reentry_records())
    answers = Scorer(model, STAMP).answers(pa.Table.from_pandas(tracks), np.arange(len(tracks)))
    raw = np.concatenate([log.raw for log in windows_of_chunk(contract, load_workload(contract), tracks)])
    predicted = model.predict(raw)
    for name in ("probability", "member"):
        for number, phase in enumerate(("nominal", "reentry")):
            column = answers[f"{name}_{phase}"].to_numpy()
            np.testing.assert_allclose(column, predicted[name][:, number], rtol=1e-6)


@pytest.mark.parametrize("rows_per_part", [1, 150, 10_000])
def test_parts_hold_whole_logs_wherever_their_rows_lie(tmp_path: Path, rows_per_part: int) -> None:
    contract, scorer = apogee_contract(), Scorer(Model(make_parts("mlp")), STAMP)
    records = apogee_records(range(3))
    mixed = records.take(np.argsort(records["time_s"].to_numpy(), kind="stable"))
    (tmp_path / "in").mkdir()
    pq.write_table(mixed.slice(0, 200), tmp_path / "in" / "a.parquet", row_group_size=64)
    pq.write_table(mixed.slice(200), tmp_path / "in" / "b.parquet", row_group_size=90)
    found = open_records(contract, tmp_path / "in")
    plan, reader = plan_parts(contract, found, rows_per_part), RecordsReader(found)
    rows = [rows_in(ranges) for ranges in plan]
    assert sorted(np.concatenate(rows).tolist()) == list(range(len(mixed)))
    if rows_per_part == 1:
        assert len(plan) == 6
    answers = pa.concat_tables([scorer.answers(reader.read(part), part) for part in rows])
    whole = scorer.answers(mixed, np.arange(len(mixed)))
    assert answers.sort_by("row").drop_columns(["bundle"]) == whole.drop_columns(["bundle"])


def test_parts_of_a_table_are_read_as_they_lie(tmp_path: Path) -> None:
    records = toy_records(1000)
    pq.write_table(records, tmp_path / "in.parquet", row_group_size=170)
    found = open_records(toy_contract(), tmp_path / "in.parquet")
    assert found.columns == ("thing", "length_m", "width_m", "noise")
    plan, reader = plan_parts(toy_contract(), found, 300), RecordsReader(found)
    assert [ranges.tolist() for ranges in plan] == [[[0, 300]], [[300, 600]], [[600, 900]], [[900, 1000]]]
    read = pa.concat_tables([reader.read(rows_in(ranges)) for ranges in plan])
    assert read.combine_chunks() == records.drop_columns(["extra"]).combine_chunks()


def test_a_file_that_does_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    path, records = tmp_path / "in.parquet", toy_records(3)
    pq.write_table(records.drop_columns(["width_m"]), path)
    with pytest.raises(FieldError, match=r"width_m: .*expected a column 'width_m' in .*in\.parquet"):
        open_records(toy_contract(), path)
    pq.write_table(records.set_column(1, "length_m", pa.array(["a", "b", "c"])), path)
    with pytest.raises(FieldError, match=r"length_m: got 'string', expected numbers in .*in\.parquet"):
        open_records(toy_contract(), path)
    path.write_text("thing,length_m")
    with pytest.raises(ValueError, match=r"in\.parquet: no Parquet file"):
        open_records(toy_contract(), path)


def manifest_of(source: Path, bundle: str = "sha256:ab") -> Manifest:
    files = open_records(toy_contract(), source).files
    return Manifest(
        workload="toy", arm="linear", model_version="3", bundle=bundle, rows_per_part=2, parts=3, files=files
    )


@pytest.mark.parametrize("name", ["out.parquet", "out"])
def test_parts_become_the_output_at_once(tmp_path: Path, name: str) -> None:
    source, output = tmp_path / "in.parquet", tmp_path / name
    records = toy_records(6).set_column(1, "length_m", pa.array([11.0, 1, 2, 3, 4, 5]))
    pq.write_table(records, source)
    scorer = Scorer(TOY, STAMP)
    for done in range(3):
        parts = Parts(output, manifest_of(source))
        assert parts.missing == list(range(done, 3))
        assert not output.exists()
        rows = np.arange(2 * done, 2 * done + 2)
        write_part(parts.folder, done, scorer.answers(records.take(rows), rows))
    assert parts.finish() == (6, 1)
    assert not parts.folder.exists()
    assert pq.read_table(output)["row"].to_pylist() == list(range(6))
    with pytest.raises(FileExistsError, match="--fresh"):
        Parts(output, manifest_of(source))
    discard(output)
    assert not output.exists()


def test_parts_of_another_model_or_input_do_not_mix(tmp_path: Path) -> None:
    source, output = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pq.write_table(toy_records(6), source)
    Parts(output, manifest_of(source))
    with pytest.raises(OtherRun, match="bundle: got sha256:ab, expected sha256:cd"):
        Parts(output, manifest_of(source, "sha256:cd"))
    pq.write_table(toy_records(6, seed=1), source)
    with pytest.raises(OtherRun, match="the input has changed"):
        Parts(output, manifest_of(source))
    discard(output)
    assert Parts(output, manifest_of(source)).missing == [0, 1, 2]


@pytest.mark.parametrize(
    "other",
    [
        {"workload": "else"},
        {"arm": "mlp"},
        {"model_version": "4"},
        {"bundle": "sha256:cd"},
        {"rows_per_part": 3},
        {"parts": 2},
    ],
)
def test_parts_of_another_manifest_do_not_mix(tmp_path: Path, other: dict[str, object]) -> None:
    source, output = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pq.write_table(toy_records(6), source)
    ours = manifest_of(source)
    Parts(output, ours)
    ((name, value),) = other.items()
    with pytest.raises(OtherRun, match=rf"{name}: got {getattr(ours, name)}, expected {value}"):
        Parts(output, ours.model_copy(update=other))


def test_an_input_that_was_written_again_is_another_though_its_footer_is_the_same(tmp_path: Path) -> None:
    source, output = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pq.write_table(toy_records(6), source)
    Parts(output, manifest_of(source))
    Parts(output, manifest_of(source))
    status = source.stat()
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    with pytest.raises(OtherRun, match="the input has changed"):
        Parts(output, manifest_of(source))


def test_a_part_that_is_cut_off_half_way_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, output = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pq.write_table(toy_records(6), source)
    parts = Parts(output, manifest_of(source))

    def killed(_: pa.Table, path: Path) -> None:
        path.write_bytes(b"PAR1 and half of the rest")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", killed)
        with pytest.raises(KeyboardInterrupt):
            write_part(parts.folder, 1, toy_records(2))
    assert Parts(output, manifest_of(source)).missing == [0, 1, 2]


def test_a_folder_that_scoring_did_not_make_is_not_discarded(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match="expected one that scoring made"):
        discard(tmp_path / "out")
    assert (tmp_path / "out").is_dir()
