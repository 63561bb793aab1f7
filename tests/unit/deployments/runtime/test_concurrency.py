from __future__ import annotations

import pytest

from deployments.runtime.concurrency import ConcurrencyMeter


def test_the_mean_of_calls_in_flight_is_over_the_time_since_it_was_asked() -> None:
    now_s = 0.0
    in_flight = ConcurrencyMeter(lambda: now_s)
    assert in_flight.mean() == 0
    with in_flight:
        now_s = 1.0
        with in_flight:
            now_s = 2.0
        now_s = 4.0
    now_s = 10.0
    assert in_flight.mean() == pytest.approx((1 * 1 + 1 * 2 + 2 * 1) / 10)
    now_s = 11.0
    assert in_flight.mean() == 0
    with in_flight:
        now_s = 12.0
        assert in_flight.mean() == 1
