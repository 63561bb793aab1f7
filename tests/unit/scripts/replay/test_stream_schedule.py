"""When requests and truths of a stream are due."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.replay.stream_schedule import Bursts, Due, Schedule, Steady


def times(schedule: Schedule, until_s: float, step_s: float = 0.01) -> list[float]:
    """When each request was handed out, on a clock that ticks in steps."""
    found = []
    for tick in range(round(until_s / step_s) + 1):
        now_s = tick * step_s
        found += [now_s] * len(schedule.take(now_s).requests)
    return found


def test_bursts_of_five_seconds_and_pauses_of_twenty_five() -> None:
    pace = Bursts()
    assert [pace.due_s(n) for n in (0, 1, 99, 100, 101, 200)] == pytest.approx([0, 0.05, 4.95, 30, 30.05, 60])
    sent_s = times(Schedule(pace, 300, 1000), 59)
    assert len(sent_s) == 200
    assert [t for t in sent_s if 5 <= t < 30] == []


def test_steady_requests_are_even() -> None:
    assert [Steady(500).due_s(n) for n in (0, 1, 500, 5000)] == [0, 0.002, 1, 10]


@pytest.mark.parametrize(("rate_per_s", "active_s", "per_burst"), [(0.1, 30, 3), (3, 0.1, 1), (0.1, 1, 1)])
def test_a_burst_has_a_whole_number_of_requests(rate_per_s: float, active_s: float, per_burst: int) -> None:
    pace = Bursts(rate_per_s, active_s, 10)
    assert pace.due_s(per_burst) == pytest.approx(active_s + 10)
    assert pace.due_s(per_burst - 1) < active_s


@given(
    rate=st.floats(0.01, 500),
    active_s=st.floats(0.1, 100),
    idle_s=st.floats(0, 1000),
    request=st.integers(0, 100_000),
)
def test_times_never_fall_and_lie_in_bursts(
    rate: float, active_s: float, idle_s: float, request: int
) -> None:
    pace = Bursts(rate, active_s, idle_s)
    assert pace.due_s(request) <= pace.due_s(request + 1) + 1e-6
    burst = round((pace.due_s(request) - pace.due_s(request) % (active_s + idle_s)) / (active_s + idle_s))
    assert burst * (active_s + idle_s) - 1e-6 <= pace.due_s(request)


def test_what_is_due_is_handed_out_once_and_late_if_the_clock_jumps() -> None:
    schedule = Schedule(Steady(2), 10, 4)
    assert schedule.take(0.0) == Due(((0, 0.0),), ())
    assert schedule.take(0.4) == Due((), ())
    assert schedule.take(1.1) == Due(((1, 0.5), (2, 1.0)), ())
    assert schedule.next_due_s() == 1.5
    assert schedule.take(99) == Due(((3, 1.5),), ())
    assert schedule.next_due_s() is None


def test_a_truth_is_due_a_delay_after_its_request_was_but_not_before_the_answer() -> None:
    schedule = Schedule(Steady(1), 10, 3)
    schedule.take(2)
    for request in (2, 0):
        schedule.answered(request)
    assert schedule.waiting_truths == 2
    assert schedule.next_due_s() == 10
    assert schedule.take(9.99).truths == ()
    assert schedule.take(10).truths == (0,)
    assert schedule.take(50).truths == (2,)
    schedule.answered(1)
    assert schedule.next_due_s() == 11
    assert schedule.take(50).truths == (1,)
    assert schedule.next_due_s() is None


def test_truths_come_in_the_order_in_which_they_are_due() -> None:
    schedule = Schedule(Bursts(2, 1, 9), 5, 4)
    schedule.take(100)
    for request in (3, 1, 0, 2):
        schedule.answered(request)
    assert schedule.take(100).truths == (0, 1, 2, 3)


def test_no_request_at_or_after_the_duration() -> None:
    schedule = Schedule(Steady(10), 0, 1000, duration_s=1)
    assert len(schedule.take(99).requests) == 10
    assert schedule.next_due_s() is None


def test_a_stopped_schedule_counts_the_truths_that_are_never_sent() -> None:
    schedule = Schedule(Steady(1), 10, 100)
    schedule.take(3)
    schedule.answered(0)
    schedule.stop()
    schedule.answered(1)
    assert (schedule.next_due_s(), schedule.take(99), schedule.dropped_truths) == (None, Due((), ()), 2)


@pytest.mark.parametrize("wrong", [0, -1, float("nan")])
def test_a_rate_is_above_zero(wrong: float) -> None:
    for make in (Steady, Bursts):
        with pytest.raises(ValueError, match=r"rate_per_s: got .*, expected more than 0"):
            make(wrong)
    with pytest.raises(ValueError, match="truth_delay_s: got -1, expected 0 s or more"):
        Schedule(Steady(1), -1, 1)
