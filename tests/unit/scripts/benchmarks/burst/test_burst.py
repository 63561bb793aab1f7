"""The pure parts of the burst test: phases, changes of direction, and the verdict."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.benchmarks.bench.system import Replica, count_replicas
from scripts.benchmarks.burst.page import measured_part
from scripts.benchmarks.burst.phases import BurstPlan
from scripts.benchmarks.burst.timeline import (
    Ended,
    Seen,
    Timeline,
    courses,
    direction_changes,
    per_second,
    problems,
)

PLAN = BurstPlan(rounds=2, rate_per_s=5, burst_s=10, idle_s=20, lead_s=5)


def timeline(*counts: tuple[float, int], errors: tuple[str, ...] = ()) -> Timeline:
    """The number of replicas of `mlp` as it is from each time on, looked at once a second."""
    seen = []
    for second in range(int(PLAN.duration_s)):
        now = [count for at_s, count in counts if at_s <= second]
        seen.append(Seen(second, {"mlp": now[-1]}))
    return Timeline([Ended(6.0, 0.01, error) for error in ("", *errors)], seen)


def test_phases_of_a_plan() -> None:
    assert PLAN.duration_s == 65
    assert PLAN.requests == 100
    phases = [(p.round, p.is_burst, p.begin_s, p.end_s) for p in PLAN.phases()]
    assert phases == [(1, True, 5, 15), (1, False, 15, 35), (2, True, 35, 45), (2, False, 45, 65)]


def test_requests_are_due_in_bursts_only() -> None:
    due_s = [PLAN.lead_s + due_s for _, due_s in PLAN.schedule().take(1e9).requests]
    assert len(due_s) == PLAN.requests
    bursts = [phase for phase in PLAN.phases() if phase.is_burst]
    assert [sum(burst.holds(at_s) for at_s in due_s) for burst in bursts] == [50, 50]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([], 0),
        ([1], 0),
        ([1, 1, 2, 3, 3], 0),
        ([1, 2, 2, 1, 1], 1),
        ([2, 1, 2], 1),
        ([1, 2, 1, 2, 1], 3),
        ([3, 2, 2, 1], 0),
    ],
)
def test_changes_of_direction(counts: list[int], expected: int) -> None:
    assert direction_changes(counts) == expected


@given(st.lists(st.integers(1, 4), max_size=30))
def test_changes_of_direction_are_the_same_backwards_and_slowly(counts: list[int]) -> None:
    assert direction_changes(counts[::-1]) == direction_changes(counts)
    assert direction_changes([count for count in counts for _ in range(2)]) == direction_changes(counts)


def test_out_and_back_passes() -> None:
    seen = timeline((0, 1), (9, 2), (25, 1), (40, 2), (60, 1))
    first, second = courses(seen, PLAN, ["mlp"])
    assert (first.most, first.out_s, first.back_s) == (2, 4, 10)
    assert (second.out_s, second.back_s, second.burst_changes, second.idle_changes) == (5, 15, 0, 0)
    assert problems(seen, [first, second]) == []


@pytest.mark.parametrize(
    ("counts", "problem"),
    [
        ([(0, 1), (40, 2), (60, 1)], "round 1, mlp: never more than one replica"),
        ([(0, 1), (9, 2), (25, 1), (40, 2)], "round 2, mlp: not back to one replica at the end"),
        (
            [(0, 1), (6, 2), (8, 1), (10, 2), (12, 1), (14, 2), (25, 1), (40, 2), (60, 1)],
            "round 1, mlp: 4 changes of direction in its burst phase",
        ),
    ],
)
def test_what_does_not_pass(counts: list[tuple[float, int]], problem: str) -> None:
    seen = timeline(*counts)
    assert problems(seen, courses(seen, PLAN, ["mlp"])) == [problem]


def test_a_replica_that_comes_again_in_idle_is_not_back() -> None:
    (first, _) = courses(timeline((0, 1), (9, 2), (20, 1), (25, 2), (27, 1), (40, 2), (60, 1)), PLAN, ["mlp"])
    assert (first.back_s, first.idle_changes) == (12, 2)


def test_one_error_does_not_pass() -> None:
    seen = timeline((0, 1), (9, 2), (25, 1), (40, 2), (60, 1), errors=("503 too busy",))
    found = courses(seen, PLAN, ["mlp"])
    assert problems(seen, found) == ["1 requests of 2 failed: 503 too busy"]
    part = measured_part("make burst", "a machine", "p.png", seen, PLAN, found, problems(seen, found))
    assert "**Not passed:** 1 requests of 2 failed: 503 too busy" in part
    assert "| 1 | mlp | 2 | 4 | 10 | 0 | 0 |" in part


def test_answers_by_second() -> None:
    ended = [Ended(0.2, 0.1), Ended(0.9, 0.3), Ended(2.5, 0.01), Ended(2.6, 9.0, "503")]
    seconds = per_second(ended, 3.0)
    assert seconds.rate.tolist() == [1, 1, 1]
    assert seconds.p99_ms == pytest.approx([298, np.nan, 10], nan_ok=True)


def test_replicas_in_the_details_of_serve() -> None:
    replicas = [{"state": "RUNNING", "node_id": "a"}, {"state": "STARTING", "node_id": None}]
    details = {"applications": {"bench": {"deployments": {"mlp": {"replicas": replicas}}}, "root": {}}}
    assert count_replicas(details) == {"mlp": (Replica("RUNNING", "a"), Replica("STARTING", ""))}
    assert [one.runs for one in count_replicas(details)["mlp"]] == [True, False]
    assert count_replicas({}) == {}
