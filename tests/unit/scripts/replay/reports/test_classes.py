"""The report of classes: hits and mistakes for each kind of recording, and a picture of the tracks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scripts.replay.horizon_errors import TimedPrediction
from scripts.replay.recordings import Case, Recording
from scripts.replay.reports.reentry import REPORT
from scripts.replay.request_bodies import instance_body
from tests.support.reentry import reentry_contract

CONTRACT = reentry_contract()


def recording(entity: str, source: str, phases: list[int]) -> Recording:
    times = np.arange(float(len(phases)))
    rows = np.column_stack([times, times, times, 1000 * times, np.full(len(times), np.nan)])
    return Recording(entity, source, rows, times, np.array(phases, np.float64))


def predictions(one: Recording, probability: list[float]) -> list[TimedPrediction]:
    return [
        TimedPrediction(time_s, {"probability": np.array([1 - p, p])}, target)
        for time_s, p, target in zip(one.times.tolist(), probability, one.targets, strict=True)
    ]


LAUNCH, AIRCRAFT = recording("L/1", "launches", [0, 0, 1, 1]), recording("A/adsb", "aircraft", [0, 0, 0])
PREDICTIONS = {
    AIRCRAFT: {"lstm": predictions(AIRCRAFT, [0.1, 0.2, 0.1]), "rule": predictions(AIRCRAFT, [0, 1, 1])},
    LAUNCH: {"lstm": predictions(LAUNCH, [0.1, 0.9, 0.8, 0.3]), "rule": predictions(LAUNCH, [0, 0, 1, 1])},
}


def test_hits_and_mistakes_are_counted_for_each_kind_of_recording() -> None:
    headline, aircraft, launches = REPORT.tables(CONTRACT, PREDICTIONS, ["lstm"])
    assert headline.title == "Scores over 7 predictions"
    assert aircraft.title == "aircraft: 3 predictions about 1 recordings"
    assert aircraft.rows[0] == ("lstm", "0", "0", "0", "3", "-", "-", "-", "-")
    assert aircraft.rows[1][:5] == ("rule", "0", "2", "0", "1")
    assert launches.rows == (
        ("lstm", "1", "1", "1", "1", "0.5", "0.5", "0.5", "0.5"),
        ("rule", "2", "0", "0", "2", "1", "1", "1", "1"),
    )
    assert REPORT.best(CONTRACT, PREDICTIONS, ["lstm", "rule"]) == "rule"


def test_tracks_with_the_class_are_drawn_first(tmp_path: Path) -> None:
    (first, second) = REPORT.draw(tmp_path, CONTRACT, PREDICTIONS, "lstm")
    assert (first.name, second.name) == ("l-1-launches.png", "a-adsb-aircraft.png")
    assert first.read_bytes().startswith(b"\x89PNG")


def test_an_instance_names_the_track_and_its_sensor() -> None:
    case = Case(LAUNCH, 3.0, LAUNCH.rows, None, LAUNCH.targets[-1])
    body = instance_body(CONTRACT, "i1", case)
    assert b'"track_id":"L","sensor_id":"1"' in body
    assert b"radiometric_intensity" not in body
