"""Playing recordings: what is sent, when, and what is made of the answers."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from features.contract import Contract
from features.windows import windows_of
from scripts.client import FeedbackCounts, WorkloadClient
from scripts.marks import FRACTIONS, TimedPrediction, best_arm, coverage_of, marks_of, median_ape_percent
from scripts.recordings import Recording, load_recordings
from scripts.replay_files import write_marks, write_predictions
from scripts.replay_picture import draw_recording
from scripts.replay_player import Played, Player
from tests.support.api import FakeSystem

EVENT_S = 10.0


def climb(contract: Contract, rate_hz: float, entity: str = "A12") -> Recording:
    """A climb at 30 m/s to 300 m."""
    times = np.arange(0, EVENT_S + 1e-9, 1 / rate_hz)
    rows = np.full((len(times), len(contract.fields)), np.nan)
    rows[:, 0], rows[:, 1] = times, 30 * times
    return Recording(entity, "logger", rows, truth=300.0, event_s=EVENT_S, rate_hz=rate_hz)


async def play(system: FakeSystem, recordings: Sequence[Recording], **options: float) -> Played:
    async with system.client() as http:
        client = WorkloadClient(http, system.contract.workload, system.contract.target.name)
        return await Player(system.contract, client, ["exact", "high"], **options).play(recordings)  # type: ignore[arg-type]


async def test_every_window_goes_to_every_arm(apogee: Contract) -> None:
    recording = climb(apogee, 20)
    ends = [window.end_s for window in windows_of(apogee, recording.rows.tolist())]
    played = await play(FakeSystem(apogee), [recording])
    for arm in ("exact", "high"):
        assert sorted(a.end_s for a in played.answers if a.arm == arm) == pytest.approx(ends)
    assert len({a.prediction.id for a in played.answers}) == len(played.answers) == 2 * len(ends)
    assert played.failures == []


async def test_an_instance_has_what_its_window_sees_and_no_nan(apogee: Contract) -> None:
    system = FakeSystem(apogee)
    await play(system, [climb(apogee, 20)])
    _, instance = system.asked[0]
    assert set(instance) == {"id", "schema_version", "flight_id", "samples"}
    assert instance["samples"][0] == {"time_s": 0.0, "altitude_m": 0.0}
    assert max(len(sent["samples"]) for _, sent in system.asked) <= apogee.window.steps + 1  # type: ignore[union-attr]


async def test_the_truth_of_every_prediction_is_sent_afterwards(apogee: Contract) -> None:
    system = FakeSystem(apogee)
    played = await play(system, [climb(apogee, 20), climb(apogee, 50, "B7")])
    assert system.truths == {a.prediction.id: 300.0 for a in played.answers}
    assert played.feedback == FeedbackCounts(accepted=len(played.answers))


async def test_a_log_too_sparse_for_a_window_is_refused_in_the_words_of_the_system(apogee: Contract) -> None:
    played = await play(FakeSystem(apogee), [climb(apogee, 0.5)])
    assert played.answers == []
    assert [(f.arm, f.status) for f in played.failures] == [("exact", 422), ("high", 422)]
    assert "expected a sample within 1.1 s of the one before" in played.failures[0].reason
    assert all(failure.refused for failure in played.failures)


async def test_a_broken_arm_leaves_the_others_alone(apogee: Contract) -> None:
    played = await play(FakeSystem(apogee, broken_arm="high"), [climb(apogee, 20)])
    assert {a.arm for a in played.answers} == {"exact"}
    assert {(f.arm, f.status, f.refused) for f in played.failures} == {("high", 503, False)}


async def test_speed_divides_the_time_between_samples(apogee: Contract) -> None:
    now_s = 100.0

    def clock() -> float:
        return now_s

    async def sleep(seconds: float) -> None:
        nonlocal now_s
        now_s += seconds

    await play(FakeSystem(apogee), [climb(apogee, 20)], speed=4.0, clock=clock, sleep=sleep)  # type: ignore[arg-type]
    assert now_s - 100.0 == pytest.approx(EVENT_S / 4)


def test_a_mark_is_the_last_prediction_at_or_before_its_time(apogee: Contract) -> None:
    recording = climb(apogee, 20)
    said = [TimedPrediction(end_s, 300 + end_s) for end_s in (5.01, 5.0, 4.75, 6.2, 9.0)]
    marks = marks_of(recording, "mlp", said)
    assert [mark.prediction and mark.prediction.end_s for mark in marks] == [5.0, 5.01, 6.2, 6.2]
    assert marks[0].ape_percent == pytest.approx(100 * 5 / 300)


def test_a_mark_before_the_first_prediction_is_empty(apogee: Contract) -> None:
    marks = marks_of(climb(apogee, 20), "mlp", [TimedPrediction(6.5, 300)])
    assert [mark.prediction is None for mark in marks] == [True, True, False, False]
    assert math.isnan(marks[0].ape_percent)


def test_medians_leave_slow_logs_out_on_demand(apogee: Contract) -> None:
    marks = [
        mark
        for rate_hz, value in ((20, 303), (20, 306), (1, 390))
        for mark in marks_of(climb(apogee, rate_hz), "mlp", [TimedPrediction(1, value)])
    ]
    assert median_ape_percent(marks, "mlp", 0.5, 10) == pytest.approx(1.5)
    assert median_ape_percent(marks, "mlp", 0.5) == pytest.approx(2)
    assert math.isnan(median_ape_percent(marks, "linear", 0.5))


def test_the_best_arm_has_the_lowest_medians_and_answers_everywhere(apogee: Contract) -> None:
    recording = climb(apogee, 20)
    marks = marks_of(recording, "late", [TimedPrediction(7, 300)])
    marks += marks_of(recording, "near", [TimedPrediction(4, 301)])
    marks += marks_of(recording, "far", [TimedPrediction(4, 310)])
    assert best_arm(marks, ["late", "far", "near"]) == "near"


def test_coverage_counts_from_the_first_fraction_to_the_event(apogee: Contract) -> None:
    said = [
        TimedPrediction(end_s, 300, lower, 320)
        for end_s, lower in ((4.9, 310), (5.0, 290), (7.0, 310), (10.0, 300), (10.1, 310))
    ]
    predictions = {climb(apogee, 20): {"mlp": said}, climb(apogee, 1): {"mlp": said[:2]}}
    assert coverage_of(predictions, "mlp", 10) == (2, 3)
    assert coverage_of(predictions, "mlp") == (3, 4)


async def test_files_have_a_row_a_log_arm_and_fraction(apogee: Contract, tmp_path: Path) -> None:
    recordings = [climb(apogee, 20), climb(apogee, 0.5, "B7")]
    played = await play(FakeSystem(apogee), recordings)
    said = [
        TimedPrediction(a.end_s, a.prediction.value, 1.0, 2.0) for a in played.answers if a.arm == "exact"
    ]
    marks = marks_of(recordings[0], "exact", said) + marks_of(recordings[1], "exact", [])
    write_marks(tmp_path / "replay.csv", apogee, marks)
    write_predictions(tmp_path / "predictions.csv", apogee, played)
    rows = list(csv.DictReader((tmp_path / "replay.csv").read_text().splitlines()))
    assert ",".join(rows[0]) == "flight_id,source,arm,fraction,prediction,lower,upper,apogee_m,ape_percent"
    assert [float(row["fraction"]) for row in rows] == [*FRACTIONS, *FRACTIONS]
    assert float(rows[0]["prediction"]) == pytest.approx(2 * 30 * 5)
    assert (rows[4]["prediction"], rows[4]["ape_percent"], rows[4]["apogee_m"]) == ("", "", "300.0")
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 1 + len(played.answers)


def test_a_picture_is_drawn_even_of_a_log_without_answers(apogee: Contract, tmp_path: Path) -> None:
    recording = climb(apogee, 20, "A 12/b")
    said = {"mlp": [TimedPrediction(5, 290, 270, 310), TimedPrediction(6, 295, 280, 305)], "linear": []}
    for predictions in (said, {"mlp": []}):
        path = draw_recording(tmp_path, apogee, recording, predictions, "mlp")
        assert path.name == "a-12-b-logger.png"
        assert path.read_bytes().startswith(b"\x89PNG")


def test_recorded_flights_end_at_their_apogee(apogee: Contract, recorded_flights: Path) -> None:
    recordings = load_recordings(apogee, recorded_flights)
    assert len(recordings) == 12
    assert sum(recording.rate_hz >= 10 for recording in recordings) == 11
    for recording in recordings:
        assert (
            recording.rows[-1, 0] <= recording.event_s < recording.rows[-1, 0] + 1 / recording.rate_hz + 0.1
        )
        assert (np.diff(recording.rows[:, 0]) > 0).all()


def test_a_workload_without_a_reader_says_which_have_one(apogee: Contract, tmp_path: Path) -> None:
    other = apogee.model_copy(update={"workload": "tides"})
    with pytest.raises(ValueError, match=r"got 'tides', recordings are read of \['apogee'\]"):
        load_recordings(other, tmp_path / "x.csv")
