"""Samples that are kept: which lead up to a time, which are kept on, and what they complete."""

from __future__ import annotations

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.domain.samples import (
    Samples,
    complete_samples,
    leading_samples,
    merge_samples,
    prepend_samples,
    to_samples,
)
from features.config import load_contract
from training.runtime.settings import REPOSITORY

WEATHER = load_contract(REPOSITORY / "configs" / "workloads", "weather")
# whole numbers and few of them, so that equal times and gaps of exactly the limit are drawn often
TIMES = st.lists(st.integers(0, 60).map(float), max_size=14)


def kept_at(times: list[float]) -> Samples:
    """Samples of two fields, the time second; the first says at which place it is."""
    return [[float(place), time_s] for place, time_s in enumerate(times)]


@given(TIMES, st.integers(-1, 61).map(float), st.integers(1, 12).map(float))
def test_those_before_a_time_lead_up_to_it_without_a_gap(
    times: list[float], time_s: float, max_gap_s: float
) -> None:
    found = leading_samples(kept_at(times), time_s, 1, max_gap_s, 2)
    expected: list[float] = []
    end = time_s
    for time in sorted((time for time in times if time < time_s), reverse=True):
        if end - time > max_gap_s:
            break
        expected.insert(0, time)
        end = time
    assert found[:, 1].tolist() == expected
    assert [times[int(place)] for place in found[:, 0]] == expected


@pytest.mark.parametrize(
    ("time_s", "expected"), [(290.0, [270, 280]), (290.5, [270, 280, 290]), (300.0, [270, 280, 290])]
)
def test_a_sample_that_is_sent_again_is_not_before_itself(time_s: float, expected: list[float]) -> None:
    found = leading_samples(kept_at([270.0, 280.0, 290.0]), time_s, 1, 10.0, 2)
    assert found[:, 1].tolist() == expected


def test_none_before_a_time_have_the_fields_of_samples() -> None:
    assert leading_samples([], 5.0, 1, 10.0, 3).shape == (0, 3)
    assert np.isnan(leading_samples([[None, 1.0]], 5.0, 1, 10.0, 2)[0, 0])


@given(TIMES, TIMES, st.integers(1, 20))
def test_of_two_at_the_same_time_the_first_stands_and_the_last_are_kept(
    times: list[float], sent: list[float], most: int
) -> None:
    kept = kept_at(times)
    new: Samples = [[100.0 + place, time_s] for place, time_s in enumerate(sent)]
    expected = kept + [row for row in new if row[1] not in times]
    assert merge_samples(kept, new, 1, most) == expected[-most:]


def test_samples_keep_what_was_not_sent_as_none() -> None:
    assert to_samples(np.array([[1.0, np.nan], [np.inf, 2.0]])) == [[1.0, None], [None, 2.0]]


def weather_at(*hours: float) -> np.ndarray:
    rows = np.full((len(hours), len(WEATHER.fields)), 1.0)
    rows[:, 0] = np.array(hours) * 3600
    return rows


def test_an_instance_is_completed_by_what_its_window_needs_and_no_more() -> None:
    assert WEATHER.window is not None
    steps = WEATHER.window.steps
    sent = weather_at(1000)
    assert complete_samples(WEATHER, None, sent) is sent
    assert complete_samples(WEATHER, weather_at(), sent) is sent
    few = complete_samples(WEATHER, weather_at(998, 999), sent)
    assert (few[:, 0] / 3600).tolist() == [998, 999, 1000]
    many = complete_samples(WEATHER, weather_at(*range(1000 - 3 * steps, 1000)), sent)
    assert (many[:, 0] / 3600).tolist() == list(range(1001 - steps, 1001))
    whole = weather_at(*range(1000 - 2 * steps, 1001))
    assert complete_samples(WEATHER, weather_at(1000 - 2 * steps - 1), whole) is whole, "it needs nothing"


def test_the_payload_has_the_earlier_samples_before_its_own() -> None:
    earlier = weather_at(1)
    earlier[0, 1] = np.nan
    names = WEATHER.field_names
    payload = prepend_samples(WEATHER, earlier, b'{"id": "7", "samples": [{"a": 1}]}')
    expected = dict.fromkeys(names, 1) | {names[0]: 3600}
    del expected[names[1]]
    assert orjson.loads(payload) == {"id": "7", "samples": [expected, {"a": 1}]}
