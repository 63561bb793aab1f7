"""What failed is tried again, soon at first, and never more often than is worth it."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.support.clocks import SecondsClock
from training.runtime.retry_schedule import RetrySchedule


def test_intervals_double_up_to_the_longest() -> None:
    clock = SecondsClock()
    schedule = RetrySchedule[str](2, 10, clock)
    assert schedule.is_due("a")
    waits = []
    for _ in range(5):
        schedule.fail("a", "torn")
        began_s = clock.now_s
        while not schedule.is_due("a"):
            clock.now_s += 0.5
        waits.append(clock.now_s - began_s)
    assert waits == [2, 4, 8, 10, 10]
    assert schedule.is_due("b")


def test_a_success_starts_anew() -> None:
    clock = SecondsClock()
    schedule = RetrySchedule[str](2, 10, clock)
    for _ in range(3):
        schedule.fail("a", "torn")
    schedule.succeed("a")
    assert schedule.is_due("a")
    assert schedule.reason("a") is None
    schedule.fail("a", "torn")
    clock.now_s += 2
    assert schedule.is_due("a")
    schedule.succeed("nothing of that name")


def test_a_reason_is_new_once() -> None:
    schedule = RetrySchedule[str](2, 10, SecondsClock())
    assert [schedule.fail("a", why) for why in ("torn", "torn", "late", "torn")] == [True, False, True, True]
    assert schedule.fail("b", "torn")
    assert schedule.reasons() == {"a": "torn", "b": "torn"}


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=50))
def test_in_any_time_there_are_few_attempts(steps_s: list[float]) -> None:
    """To look more often makes none more: the intervals are at least those of the series."""
    clock = SecondsClock()
    schedule = RetrySchedule[str](2, 64, clock)
    attempts_s = []
    for step_s in steps_s:
        clock.now_s += step_s
        if schedule.is_due("a"):
            attempts_s.append(clock.now_s)
            schedule.fail("a", "torn")
    gaps = [late - early for early, late in pairwise(attempts_s)]
    assert all(gap >= min(2 * 2**n, 64) - 1e-6 for n, gap in enumerate(gaps))
