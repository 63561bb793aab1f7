"""Sums by bucket equal those that are computed over all rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.monitoring.buckets import Buckets, Tier
from deployments.monitoring.values import NumberBins

TIERS = (Tier(10.0, 60.0), Tier(60.0, 600.0))
# quarters, whose sums are exact in any order
EVENTS = st.lists(st.tuples(st.integers(0, 3000), st.integers(-8, 8).map(lambda n: n / 4)), max_size=60)


def filled(events: list[tuple[int, float]]) -> Buckets:
    sums = Buckets(2, TIERS)
    for at_s, value in events:
        sums.add(at_s / 2, np.array([1.0, value]))
    return sums


@given(EVENTS, st.sampled_from([10.0, 30.0, 60.0, 120.0, 600.0]), st.integers(0, 400))
def test_a_window_is_the_sum_of_its_rows(
    events: list[tuple[int, float]], window_s: float, later_s: int
) -> None:
    now_s = max([at_s for at_s, _ in events], default=0) / 2 + later_s
    sums = filled(events)
    since_s = sums.since_s(now_s, window_s)
    assert now_s - window_s < since_s
    inside = [value for at_s, value in events if at_s / 2 >= since_s]
    assert sums.total(now_s, window_s).tolist() == [len(inside), sum(inside)]


@given(EVENTS, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(events: list[tuple[int, float]], random: object) -> None:
    shuffled = list(events)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for window_s in (10.0, 60.0, 600.0):
        expected = filled(events).total(2000.0, window_s)
        assert filled(shuffled).total(2000.0, window_s).tolist() == expected.tolist()


def test_a_window_begins_with_a_bucket_and_ends_now() -> None:
    sums = filled([(20, 1.0), (39, 1.0), (40, 1.0), (59, 1.0)])  # at 10, 19.5, 20 and 29.5 s
    assert [sums.total(29.5, window_s)[0] for window_s in (10.0, 20.0)] == [2.0, 4.0]
    assert sums.total(19.5, 10.0)[0] == 2.0
    assert sums.total(30.0, 20.0)[0] == 2.0


def test_what_is_older_than_the_longest_window_is_forgotten() -> None:
    sums = Buckets(1, TIERS)
    for at_s in range(0, 100_000, 5):
        sums.add(float(at_s), np.ones(1))
    assert len(sums) == 6 + 10
    sums.add(0.0, np.ones(1))
    assert len(sums) == 6 + 10


def test_a_window_longer_than_all_tiers_is_refused() -> None:
    with pytest.raises(ValueError, match="window_s: got 601, expected at most 600"):
        Buckets(1, TIERS).total(0.0, 601.0)


@given(st.floats(-1e6, 1e6))
def test_a_number_is_in_its_bin(value: float) -> None:
    bins = NumberBins()
    lower, upper = bins.edges(bins.index(value))
    slack = 1e-9 * abs(value)
    assert lower - slack <= value <= upper + slack


def test_bins_grow_with_the_value_and_hold_the_farthest() -> None:
    bins = NumberBins()
    values = [-1e12, -1e6, -1.0, -0.0101, 0.0, 0.01, 0.0126, 1.0, 1.3, 3000.0, 1e12]
    found = [bins.index(value) for value in values]
    assert found == [0, 9, 69, 89, 90, 91, 92, 111, 112, 145, 180]
    assert bins.edges(111) == pytest.approx((1.0, 10**0.1))
    assert bins.edges(90) == (-0.01, 0.01)
