import pytest

from deployments.domain.breaker_settings import BreakerSettings
from deployments.runtime.circuit_breaker import CircuitBreaker


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def breaker_of(clock: Clock, probes: int = 1) -> CircuitBreaker:
    return CircuitBreaker(BreakerSettings(failures_to_open=3, open_s=5, half_open_probes=probes), clock)


def state_of(breaker: CircuitBreaker) -> str:
    """Read anew: a type checker takes a property for what it was before."""
    return breaker.state


def fail(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        breaker.begin()
        breaker.fail()


def test_opens_at_the_third_failure_in_a_row(clock: Clock) -> None:
    breaker = breaker_of(clock)
    fail(breaker, 2)
    assert state_of(breaker) == "closed"
    fail(breaker, 1)
    assert state_of(breaker) == "open"
    assert breaker.is_open


def test_a_success_starts_the_count_afresh(clock: Clock) -> None:
    breaker = breaker_of(clock)
    fail(breaker, 2)
    breaker.begin()
    breaker.succeed()
    fail(breaker, 2)
    assert state_of(breaker) == "closed"


def test_lets_one_probe_through_after_its_time_and_closes_when_it_succeeds(clock: Clock) -> None:
    breaker = breaker_of(clock)
    fail(breaker, 3)
    clock.now_s += 4.999
    assert breaker.is_open
    clock.now_s += 0.001
    assert state_of(breaker) == "half_open"
    assert not breaker.is_open
    breaker.begin()
    assert breaker.is_open
    breaker.succeed()
    assert state_of(breaker) == "closed"
    fail(breaker, 2)
    assert state_of(breaker) == "closed"


def test_a_probe_that_fails_opens_it_for_the_whole_time_again(clock: Clock) -> None:
    breaker = breaker_of(clock)
    fail(breaker, 3)
    clock.now_s += 6
    fail(breaker, 1)
    assert state_of(breaker) == "open"
    clock.now_s += 4.9
    assert state_of(breaker) == "open"
    clock.now_s += 0.2
    assert state_of(breaker) == "half_open"


def test_a_probe_whose_caller_left_makes_room_for_another(clock: Clock) -> None:
    breaker = breaker_of(clock)
    fail(breaker, 3)
    clock.now_s += 5
    breaker.begin()
    assert breaker.is_open
    breaker.abandon()
    assert not breaker.is_open


def test_several_probes_must_all_succeed(clock: Clock) -> None:
    breaker = breaker_of(clock, probes=2)
    fail(breaker, 3)
    clock.now_s += 5
    breaker.begin()
    breaker.succeed()
    assert state_of(breaker) == "half_open"
    assert not breaker.is_open
    breaker.begin()
    breaker.succeed()
    assert state_of(breaker) == "closed"


def test_a_late_answer_does_not_close_an_open_breaker(clock: Clock) -> None:
    breaker = breaker_of(clock)
    breaker.begin()
    fail(breaker, 3)
    breaker.succeed()
    assert state_of(breaker) == "open"


def test_failures_while_open_do_not_prolong_it(clock: Clock) -> None:
    breaker = breaker_of(clock)
    fail(breaker, 3)
    clock.now_s += 4
    fail(breaker, 1)
    clock.now_s += 1
    assert state_of(breaker) == "half_open"
