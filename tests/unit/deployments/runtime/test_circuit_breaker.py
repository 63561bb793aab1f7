import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from deployments.domain.breaker_settings import BreakerSettings
from deployments.runtime.circuit_breaker import CircuitBreaker
from tests.support.clocks import SecondsClock


@pytest.fixture
def clock() -> SecondsClock:
    return SecondsClock(100.0)


def breaker_of(clock: SecondsClock, probes: int = 1) -> CircuitBreaker:
    return CircuitBreaker(BreakerSettings(failures_to_open=3, open_s=5, half_open_probes=probes), clock)


def state_of(breaker: CircuitBreaker) -> str:
    """Read anew: a type checker takes a property for what it was before."""
    return breaker.state


def fail(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        breaker.begin()
        breaker.fail()


def test_opens_at_the_third_failure_in_a_row(clock: SecondsClock) -> None:
    breaker = breaker_of(clock)
    fail(breaker, 2)
    assert state_of(breaker) == "closed"
    fail(breaker, 1)
    assert state_of(breaker) == "open"
    assert breaker.is_open


def test_a_success_starts_the_count_afresh(clock: SecondsClock) -> None:
    breaker = breaker_of(clock)
    fail(breaker, 2)
    breaker.begin()
    breaker.succeed()
    fail(breaker, 2)
    assert state_of(breaker) == "closed"


def test_lets_one_probe_through_after_its_time_and_closes_when_it_succeeds(clock: SecondsClock) -> None:
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


def test_a_probe_that_fails_opens_it_for_the_whole_time_again(clock: SecondsClock) -> None:
    breaker = breaker_of(clock)
    fail(breaker, 3)
    clock.now_s += 6
    fail(breaker, 1)
    assert state_of(breaker) == "open"
    clock.now_s += 4.9
    assert state_of(breaker) == "open"
    clock.now_s += 0.2
    assert state_of(breaker) == "half_open"


def test_a_probe_whose_caller_left_makes_room_for_another(clock: SecondsClock) -> None:
    breaker = breaker_of(clock)
    fail(breaker, 3)
    clock.now_s += 5
    breaker.begin()
    assert breaker.is_open
    breaker.abandon()
    assert not breaker.is_open


def test_several_probes_must_all_succeed(clock: SecondsClock) -> None:
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


def test_a_late_answer_does_not_close_an_open_breaker(clock: SecondsClock) -> None:
    breaker = breaker_of(clock)
    breaker.begin()
    fail(breaker, 3)
    breaker.succeed()
    assert state_of(breaker) == "open"


def test_failures_while_open_do_not_prolong_it(clock: SecondsClock) -> None:
    breaker = breaker_of(clock)
    fail(breaker, 3)
    clock.now_s += 4
    fail(breaker, 1)
    clock.now_s += 1
    assert state_of(breaker) == "half_open"


def test_a_success_before_a_failed_probe_does_not_count_later(clock: SecondsClock) -> None:
    breaker = breaker_of(clock, probes=2)
    fail(breaker, 3)
    clock.now_s += 5
    breaker.begin()
    breaker.succeed()
    fail(breaker, 1)
    clock.now_s += 5
    breaker.begin()
    breaker.succeed()
    assert state_of(breaker) == "half_open"


def test_a_call_from_before_it_opened_takes_no_probes_place(clock: SecondsClock) -> None:
    breaker = breaker_of(clock)
    breaker.begin()  # it hangs
    fail(breaker, 3)
    clock.now_s += 5
    assert not breaker.is_open


def test_probes_of_an_earlier_time_take_no_places_now(clock: SecondsClock) -> None:
    breaker = breaker_of(clock, probes=2)
    fail(breaker, 3)
    clock.now_s += 5
    breaker.begin()  # it hangs
    fail(breaker, 1)
    clock.now_s += 5
    breaker.begin()
    assert not breaker.is_open


class AgainstAModel(RuleBasedStateMachine):
    """Any order of calls, ends and time, beside a model that keeps what happened since the last change."""

    @initialize(failures=st.integers(1, 4), probes=st.integers(1, 3))
    def make(self, failures: int, probes: int) -> None:
        self.clock = SecondsClock()
        self.breaker = CircuitBreaker(
            BreakerSettings(failures_to_open=failures, open_s=5, half_open_probes=probes), self.clock
        )
        self.failures, self.probes = failures, probes
        self.under_way = 0
        self.opened_at_s: float | None = None
        self.ends: list[str] = []  # since it closed, or opened
        self.slots = 0

    @property
    def expected(self) -> str:
        if self.opened_at_s is None:
            return "closed"
        return "open" if self.clock.now_s < self.opened_at_s + 5 else "half_open"

    @rule(seconds=st.sampled_from([0.5, 4.5, 5.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now_s += seconds

    @rule()
    def a_call_begins(self) -> None:
        self.under_way += 1
        self.slots += self.expected == "half_open"
        self.breaker.begin()

    @precondition(lambda self: self.under_way > 0)
    @rule(end=st.sampled_from(["succeed", "fail", "abandon"]))
    def a_call_ends(self, end: str) -> None:
        self.under_way -= 1
        state, self.slots = self.expected, max(self.slots - 1, 0)
        getattr(self.breaker, end)()
        if end == "abandon" or state == "open":
            return
        self.ends.append(end)
        if state == "half_open":
            if end == "fail":
                self._turn(self.clock.now_s)
            elif self.ends.count("succeed") == self.probes:
                self._turn(None)
        elif end == "succeed":
            self._turn(None)
        elif self.ends == ["fail"] * self.failures:
            self._turn(self.clock.now_s)

    def _turn(self, opened_at_s: float | None) -> None:
        self.opened_at_s, self.ends, self.slots = opened_at_s, [], 0

    @invariant()
    def both_say_the_same(self) -> None:
        passes = self.expected == "closed" or (
            self.expected == "half_open" and self.slots + len(self.ends) < self.probes
        )
        assert (self.breaker.state, self.breaker.is_open) == (self.expected, not passes)


AgainstAModel.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestAgainstAModel = AgainstAModel.TestCase
