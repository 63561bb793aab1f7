"""Playing recordings: what is sent, when, and what is made of the answers; against a real service."""

from __future__ import annotations

import asyncio
import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from toy.parts import toy_contract, toy_parts, toy_raw

from features.contract import Contract
from features.windows import cut_windows
from scripts.cli.replay import _chosen, _factor, _pace, by_recording
from scripts.replay.client import WorkloadClient
from scripts.replay.csv_files import write_each, write_horizon_errors, write_predictions
from scripts.replay.horizon_errors import (
    FRACTIONS,
    TimedPrediction,
    best_arm,
    coverage_counts,
    horizon_errors,
    median_ape_percent,
)
from scripts.replay.offline_evaluation import evaluate
from scripts.replay.player import Played, Player
from scripts.replay.recordings import Recording
from scripts.replay.stream_schedule import Bursts, Steady
from tests.support.flights import fly, rows_of
from tests.support.serving import ARMS, LocalSystem
from training.runtime.inference import Model

EVENT_S = 10.0


def climb(contract: Contract, rate_hz: float, entity: str = "A12") -> Recording:
    """A climb at 30 m/s to 300 m."""
    times = np.arange(0, EVENT_S + 1e-9, 1 / rate_hz)
    rows = np.full((len(times), len(contract.fields)), np.nan)
    rows[:, 0], rows[:, 1] = times, 30 * times
    return Recording(entity, "logger", rows, times, np.full(len(times), 300.0))


def flight(contract: Contract, seed: int, entity: str = "A12") -> Recording:
    samples, apogee_m = fly(seed)
    rows = np.array(rows_of(contract, samples))
    return Recording(entity, "logger", rows, samples[:, 0], np.full(len(rows), apogee_m))


def rectangles(rows: int) -> list[Recording]:
    """Rows of the toy table, one an entity, the last with an unknown truth."""
    raw = toy_raw(rows)
    truths = raw[:, 0] * raw[:, 1]
    truths[-1] = np.nan
    return [
        Recording(f"thing-{n}", "", raw[n : n + 1], np.array([float(n)]), truths[n : n + 1])
        for n in range(rows)
    ]


@pytest.fixture
def system(tmp_path: Path) -> Iterator[LocalSystem]:
    with LocalSystem(tmp_path) as system:
        yield system


@pytest.fixture
def table(tmp_path: Path) -> Iterator[LocalSystem]:
    with LocalSystem(tmp_path, lambda arm, number: toy_parts(number)) as system:
        yield system


async def play(system: LocalSystem, recordings: Sequence[Recording], **options: Any) -> Played:
    async with system.client() as client:
        return await Player(system.contract, client, ARMS, **options).play(recordings)


def sent(system: LocalSystem) -> list[dict[str, Any]]:
    rows = system.store.predictions(system.contract.workload, limit=100_000)
    return [orjson.loads(row.payload) for _, row in rows]


def truths(system: LocalSystem) -> dict[str, float]:
    name = system.contract.target.name
    joined = system.store.joined(system.contract.workload, limit=100_000)
    return {row.prediction.id: row.truth[name] for row in joined}


async def test_every_window_goes_to_every_arm(apogee: Contract, system: LocalSystem) -> None:
    recording = climb(apogee, 20)
    ends = [window.end_s for window in cut_windows(apogee, recording.rows.tolist())]
    played = await play(system, [recording])
    for arm in ARMS:
        assert sorted(a.case.end_s for a in played.answers if a.arm == arm) == pytest.approx(ends)
    assert len({a.prediction.id for a in played.answers}) == len(played.answers) == len(ARMS) * len(ends)
    assert played.failures == []


async def test_answers_are_those_of_the_offline_models(apogee: Contract, system: LocalSystem) -> None:
    recordings = [flight(apogee, 3), flight(apogee, 4, "B7")]
    online = by_recording(apogee, recordings, await play(system, recordings))
    models = {arm: Model(parts) for arm, parts in system.parts.items()}
    offline = evaluate(apogee, recordings, models)
    for recording in recordings:
        for arm in ARMS:
            got = sorted(online[recording][arm], key=lambda p: p.end_s)
            assert [p.end_s for p in got] == [p.end_s for p in offline[recording][arm]]
            for field in ("value", "lower", "upper", "truth"):
                expected = [getattr(p, field) for p in offline[recording][arm]]
                np.testing.assert_allclose([getattr(p, field) for p in got], expected, rtol=1e-6)


async def test_an_instance_has_what_its_window_sees_and_no_nan(apogee: Contract, system: LocalSystem) -> None:
    await play(system, [climb(apogee, 20)])
    instances = sent(system)
    assert set(instances[0]) == {"id", "schema_version", "flight_id", "samples"}
    assert {frozenset(sample) for one in instances for sample in one["samples"]} == {
        frozenset(("time_s", "altitude_m"))
    }
    assert max(len(one["samples"]) for one in instances) <= apogee.window.steps + 1  # type: ignore[union-attr]


async def test_the_truth_of_every_prediction_is_sent_afterwards(
    apogee: Contract, system: LocalSystem
) -> None:
    played = await play(system, [climb(apogee, 20), climb(apogee, 50, "B7")])
    assert truths(system) == {a.prediction.id: 300.0 for a in played.answers}
    assert played.feedback.accepted == len(played.answers)


async def test_a_log_too_sparse_for_a_window_is_refused_in_the_words_of_the_system(
    apogee: Contract, system: LocalSystem
) -> None:
    played = await play(system, [climb(apogee, 0.5)])
    assert played.answers == []
    assert [(f.arm, f.status) for f in played.failures] == [(arm, 422) for arm in ARMS]
    assert "expected a sample within 1.1 s of the one before" in played.failures[0].reason
    assert all(failure.refused for failure in played.failures)


async def no_sleep(seconds: float) -> None:
    await asyncio.sleep(0)


async def test_a_broken_arm_leaves_the_others_alone(apogee: Contract, system: LocalSystem) -> None:
    system.downstream.down = {"mlp"}
    played = await play(system, [climb(apogee, 20)], sleep=no_sleep)
    assert {a.arm for a in played.answers} == {"linear", "random_forest"}
    assert {(f.arm, f.status, f.refused) for f in played.failures} == {("mlp", 503, False)}


@pytest.mark.parametrize(("busy_times", "answered"), [(3, 1), (4, 0)])
async def test_a_busy_system_is_asked_again_after_its_pause(busy_times: int, answered: int) -> None:
    requests: list[str] = []
    pauses: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/feedback"):
            return httpx.Response(202, json={"accepted": answered, "duplicate": 0, "unmatched": 0})
        requests.append(orjson.loads(request.content)["id"])
        if len(requests) <= busy_times:
            return httpx.Response(503, headers={"Retry-After": "2"}, json={"detail": "too much at once"})
        answer = {"id": requests[-1], "prediction": {"area_m2": 1.0}, "interval": {"area_m2": [0, 2]}}
        rest = {"coverage": 0.9, "arm": "mlp", "model_version": "1", "bundle": "b", "fallback": False}
        return httpx.Response(200, json=answer | rest)

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    contract = toy_contract()
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://system") as http:
        client = WorkloadClient(http, contract.workload, contract.target)
        played = await Player(contract, client, ["mlp"], sleep=sleep).play(rectangles(2)[:1])
    assert (len(played.answers), len(played.failures)) == (answered, 1 - answered)
    assert (pauses, played.resent, len(set(requests))) == ([2.0] * 3, 3, 1)


async def test_speed_divides_the_time_between_samples(apogee: Contract, system: LocalSystem) -> None:
    now_s = 100.0

    def clock() -> float:
        return now_s

    async def sleep(seconds: float) -> None:
        nonlocal now_s
        now_s += seconds

    await play(system, [climb(apogee, 20)], speed=4.0, clock=clock, sleep=sleep)
    assert now_s - 100.0 == pytest.approx(EVENT_S / 4)


async def test_a_table_is_sent_row_by_row_and_a_truth_where_it_is_known(table: LocalSystem) -> None:
    recordings = rectangles(12)
    played = await play(table, recordings)
    assert len(played.answers) == 12 * len(ARMS)
    assert set(sent(table)[0]) == {"id", "schema_version", "thing", "length_m", "width_m", "noise"}
    assert {one["thing"] for one in sent(table)} == {f"thing-{n}" for n in range(12)}
    expected = {a.prediction.id: float(a.case.target) for a in played.answers if a.case.known}
    assert truths(table) == expected
    assert len(expected) == 11 * len(ARMS)


async def test_a_limit_counts_cases_whatever_the_arms(table: LocalSystem) -> None:
    played = await play(table, rectangles(12), limit=5)
    assert len(played.answers) == 5 * len(ARMS)
    assert {a.case.recording.entity for a in played.answers} == {f"thing-{n}" for n in range(5)}


def test_a_mark_is_the_last_prediction_at_or_before_its_time(apogee: Contract) -> None:
    recording = climb(apogee, 20)
    timed = [TimedPrediction.of_number(end_s, 300 + end_s) for end_s in (5.01, 5.0, 4.75, 6.2, 9.0)]
    found = horizon_errors(recording, "mlp", timed)
    assert [mark.prediction and mark.prediction.end_s for mark in found] == [5.0, 5.01, 6.2, 6.2]
    assert found[0].ape_percent == pytest.approx(100 * 5 / 300)


def test_a_mark_before_the_first_prediction_is_empty(apogee: Contract) -> None:
    found = horizon_errors(climb(apogee, 20), "mlp", [TimedPrediction.of_number(6.5, 300)])
    assert [mark.prediction is None for mark in found] == [True, True, False, False]
    assert math.isnan(found[0].ape_percent)


def test_medians_leave_slow_logs_out_on_demand(apogee: Contract) -> None:
    found = [
        mark
        for rate_hz, value in ((20, 303), (20, 306), (1, 390))
        for mark in horizon_errors(climb(apogee, rate_hz), "mlp", [TimedPrediction.of_number(1, value)])
    ]
    assert median_ape_percent(found, "mlp", 0.5, 10) == pytest.approx(1.5)
    assert median_ape_percent(found, "mlp", 0.5) == pytest.approx(2)
    assert math.isnan(median_ape_percent(found, "linear", 0.5))


def test_the_best_arm_has_the_lowest_medians_and_answers_everywhere(apogee: Contract) -> None:
    recording = climb(apogee, 20)
    found = horizon_errors(recording, "late", [TimedPrediction.of_number(7, 300)])
    found += horizon_errors(recording, "near", [TimedPrediction.of_number(4, 301)])
    found += horizon_errors(recording, "far", [TimedPrediction.of_number(4, 310)])
    assert best_arm(found, ["late", "far", "near"]) == "near"


def test_coverage_counts_from_the_first_fraction_to_the_event(apogee: Contract) -> None:
    timed = [
        TimedPrediction.of_number(end_s, 300, lower, 320)
        for end_s, lower in ((4.9, 310), (5.0, 290), (7.0, 310), (10.0, 300), (10.1, 310))
    ]
    predictions = {climb(apogee, 20): {"mlp": timed}, climb(apogee, 1): {"mlp": timed[:2]}}
    assert coverage_counts(predictions, "mlp", 10) == (2, 3)
    assert coverage_counts(predictions, "mlp") == (3, 4)


async def test_files_have_a_row_a_log_arm_and_fraction(
    apogee: Contract, system: LocalSystem, tmp_path: Path
) -> None:
    recordings = [climb(apogee, 20), climb(apogee, 0.5, "B7")]
    played = await play(system, recordings)
    timed = [
        TimedPrediction.of_number(a.case.end_s, a.prediction.row.prediction["apogee_m"], 1.0, 2.0)
        for a in played.answers
        if a.arm == "mlp"
    ]
    found = horizon_errors(recordings[0], "mlp", timed) + horizon_errors(recordings[1], "mlp", [])
    write_horizon_errors(tmp_path / "replay.csv", apogee, found)
    write_predictions(tmp_path / "predictions.csv", apogee, played)
    rows = list(csv.DictReader((tmp_path / "replay.csv").read_text().splitlines()))
    assert ",".join(rows[0]) == "flight_id,source,arm,fraction,prediction,lower,upper,apogee_m,ape_percent"
    assert [float(row["fraction"]) for row in rows] == [*FRACTIONS, *FRACTIONS]
    (at_half,) = {p.value for p in timed if p.end_s == 5.0}
    assert float(rows[0]["prediction"]) == at_half
    assert (rows[4]["prediction"], rows[4]["ape_percent"], rows[4]["apogee_m"]) == ("", "", "300.0")
    written = list(csv.DictReader((tmp_path / "predictions.csv").read_text().splitlines()))
    assert len(written) == len(played.answers)
    assert list(written[0])[:5] == ["flight_id", "source", "arm", "end_s", "id"]


async def test_files_of_a_table_have_a_row_a_row_and_arm_and_no_time(
    table: LocalSystem, tmp_path: Path
) -> None:
    contract, recordings = toy_contract(), rectangles(3)
    played = await play(table, recordings)
    write_each(tmp_path / "replay.csv", contract, by_recording(contract, recordings, played))
    write_predictions(tmp_path / "predictions.csv", contract, played)
    rows = list(csv.DictReader((tmp_path / "replay.csv").read_text().splitlines()))
    assert ",".join(rows[0]) == "thing,source,arm,prediction,lower,upper,area_m2,error"
    assert len(rows) == 3 * len(ARMS)
    assert float(rows[0]["error"]) == float(rows[0]["prediction"]) - float(rows[0]["area_m2"])
    assert (rows[-1]["area_m2"], rows[-1]["error"]) == ("", "")
    assert "end_s" not in (tmp_path / "predictions.csv").read_text().splitlines()[0]


def test_options_that_do_not_go_together_are_refused(apogee: Contract) -> None:
    assert _pace(False, Bursts(), None) is None
    assert _pace(True, Bursts(), None) == Bursts()
    assert _pace(False, Bursts(), 50) == Steady(50)
    with pytest.raises(ValueError, match="--bursts, --stress: got both"):
        _pace(True, Bursts(), 50)
    assert _factor("10", apogee) == 10
    for wrong in ("0", "-1", "fast", "nan"):
        with pytest.raises(ValueError, match=f"--speed: got '{wrong}', expected a number above 0, or max"):
            _factor(wrong, apogee)
    with pytest.raises(ValueError, match="rows of toy have no time: use --bursts"):
        _factor("2", toy_contract())
    recordings = [climb(apogee, 20, entity) for entity in ("A12", "B7")]
    assert _chosen(recordings, "B7, ") == recordings[1:]
    with pytest.raises(ValueError, match=r"--only: got \['C3'\], the file has \['A12', 'B7'\]"):
        _chosen(recordings, "C3,B7")
