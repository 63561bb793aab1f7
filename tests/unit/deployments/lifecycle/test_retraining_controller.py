"""Retrainings: when they start, what becomes of their jobs, and that no order of events leads astray."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from toy.parts import toy_contract

from deployments.domain import retraining_transitions as states
from deployments.domain.drift_state import SettledState
from deployments.domain.errors import Conflict, NotFound
from deployments.domain.retraining import ArmResult, Reason, Request, Retraining
from deployments.domain.retraining_transitions import JobState, StartConditions
from deployments.lifecycle.retraining_controller import JobServiceUnavailable, RetrainingController
from deployments.store import Store, Truth
from deployments.store.monitor_feed import DriftEvent, MonitoredPage
from deployments.store.monitored import Cursors
from tests.support.databases import empty_store
from tests.support.examples import examples
from tests.support.records import row
from training.runtime.retraining_config import RetrainingConfig

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CONFIG = RetrainingConfig(min_truths=10, jobs_per_day=2, cooldown_min=30, attempts=2)
PASSED = ArmResult(model_version="2", bundle="sha256:2", passed=True, reasons=("better",), numbers={})
ARCHIVED = PASSED.model_copy(update={"passed": False})


def request_for(reason: Reason = "drift", minutes: float = 0, **members: Any) -> Request:
    return Request(reason=reason, at=NOW + timedelta(minutes=minutes), by="test", **members)


def waiting(*requests: Request) -> Retraining:
    first, *rest = requests or (request_for(),)
    there = states.add_request(None, "toy", "1", first)
    for request in rest:
        there = states.add_request(there, "toy", "2", request)
    return there


@pytest.mark.parametrize(
    ("requests", "conditions", "expected"),
    [
        ([request_for()], StartConditions(10, 10), None),
        ([request_for()], StartConditions(99, 9), "new truths: there are 9, and 10 are needed"),
        ([request_for("schedule")], StartConditions(99, 9), "new truths: there are 9, and 10 are needed"),
        ([request_for("by hand")], StartConditions(10, 0), None),
        ([request_for("by hand")], StartConditions(9, 9), "truths: there are 9, and 10 are needed"),
        (
            [request_for()],
            StartConditions(10, 10, NOW - timedelta(minutes=29)),
            "the cooldown, until 2026-03-01 12:01 UTC",
        ),
        ([request_for()], StartConditions(10, 10, NOW - timedelta(minutes=30)), None),
        ([request_for("by hand")], StartConditions(10, 10, NOW), None),
        ([request_for(), request_for("by hand")], StartConditions(10, 0, NOW), None),
        ([request_for()], StartConditions(10, 10, None, (NOW - timedelta(hours=23),)), None),
        (
            [request_for("by hand")],
            StartConditions(10, 10, None, (NOW - timedelta(hours=1), NOW - timedelta(hours=20))),
            "the budget: 2 of 2 a day are spent until 2026-03-01 16:00 UTC",
        ),
        (
            [request_for()],
            StartConditions(10, 10, None, (NOW - timedelta(hours=1), NOW - timedelta(hours=24))),
            None,
        ),
    ],
)
def test_what_a_retraining_waits_for(
    requests: list[Request], conditions: StartConditions, expected: str | None
) -> None:
    assert states.waits_for(CONFIG, waiting(*requests), conditions, NOW) == expected


def running(attempts: int = 1) -> Retraining:
    there = waiting()
    for _ in range(attempts):
        there = states.confirm(states.start(there, NOW))
    return there


@pytest.mark.parametrize(
    ("there", "job", "state", "attempts", "ends"),
    [
        (running(), "alive", "running", 1, [None]),
        (running(), "died", "submitting", 2, ["killed", None]),
        (running(), "unknown", "submitting", 2, ["Ray lost it", None]),
        (running(), "succeeded", "submitting", 2, ["it ended without a verdict", None]),
        (running(2), "died", "failed", 2, [None, "killed"]),
        (states.finish(running(), NOW), "succeeded", "done", 1, ["succeeded"]),
        (states.finish(running(), NOW), "died", "done", 1, ["succeeded"]),
    ],
)
def test_what_becomes_of_a_job(
    there: Retraining, job: JobState, state: str, attempts: int, ends: list[str | None]
) -> None:
    found = states.observe(CONFIG, there, job, "killed", NOW)
    assert (found.state, len(found.attempts)) == (state, attempts)
    assert [attempt.end for attempt in found.attempts] == ends
    assert len({attempt.job for attempt in found.attempts}) == attempts


def test_a_retraining_knows_since_when_the_world_is_another() -> None:
    early, late = NOW - timedelta(hours=3), NOW - timedelta(hours=1)
    assert waiting(request_for(since=late), request_for("by hand"), request_for(since=early)).since == late
    assert waiting(request_for("by hand")).since is None


@pytest.mark.parametrize(
    ("request_", "result", "expected"),
    [
        (request_for("drift", 5), ARCHIVED, True),
        (request_for("drift", 5), PASSED, False),
        (request_for("by hand", 5), ARCHIVED, False),
        (request_for("drift", -5), ARCHIVED, False),
    ],
)
def test_drift_that_came_while_it_ran_is_followed_up(
    request_: Request, result: ArmResult, expected: bool
) -> None:
    there = states.add_request(running(), "toy", "2", request_)
    assert states.follow_up(there) is None
    ended = states.finish(there.model_copy(update={"arms": {"linear": result}}), NOW)
    assert states.follow_up(ended) == (request_ if expected else None)


@pytest.mark.parametrize(
    ("event", "state", "result", "erring", "expected"),
    [
        (7, "done", ARCHIVED, {"linear"}, True),
        (7, "done", ARCHIVED, {"mlp"}, False),
        (7, "done", PASSED, {"linear"}, False),
        (7, "failed", ARCHIVED, {"linear"}, False),
        (None, "done", ARCHIVED, {"linear"}, False),
    ],
)
def test_a_drift_that_no_model_was_shown_to_mend_is_tried_once_more(
    event: int | None, state: str, result: ArmResult, erring: set[str], expected: bool
) -> None:
    ended = waiting(request_for(event=event, since=NOW)).model_copy(
        update={"state": state, "arms": {"linear": result}}
    )
    found = states.second_try(ended, erring, NOW)
    assert (found is not None) == expected
    if found is not None:
        assert (found.reason, found.since, found.event) == ("drift", NOW, None)
        assert found.note == "no better model yet, and still drifting: linear"


@pytest.mark.parametrize(
    ("every_h", "last_h", "first_h", "due"),
    [
        (24, None, None, False),
        (24, None, 23.9, False),
        (24, None, 24, True),
        (24, 23.9, 999, False),
        (24, 24, 999, True),
        (None, 999, 999, False),
    ],
)
def test_the_routine_check(
    every_h: float | None, last_h: float | None, first_h: float | None, due: bool
) -> None:
    def ago(hours: float | None) -> datetime | None:
        return None if hours is None else NOW - timedelta(hours=hours)

    before = ago(last_h)
    last = None if before is None else waiting().model_copy(update={"created_at": before, "state": "done"})
    request = states.routine(RetrainingConfig(every_h=every_h), last, ago(first_h), NOW)
    assert (request is not None) == due


class FakeJobs:
    """Jobs that are told how they are; `away` and `dies_at_submit` are what can go wrong with Ray."""

    def __init__(self) -> None:
        self.states: dict[str, JobState] = {}
        self.submitted: list[str] = []
        self.away = False

    def submit(self, job: str, retraining_id: str) -> None:
        if self.away:
            raise JobServiceUnavailable("the dashboard does not answer")
        if job not in self.states:
            self.submitted.append(job)
            self.states[job] = "alive"

    def state(self, job: str) -> tuple[JobState, str]:
        if self.away:
            raise JobServiceUnavailable("the dashboard does not answer")
        return self.states.get(job, "unknown"), "killed"


class Scene:
    """A workload with a store, and a clock that is set."""

    def __init__(self, store_url: str, config: RetrainingConfig = CONFIG) -> None:
        self.now = NOW
        self.store = Store(store_url, lambda: self.now)
        self.jobs = FakeJobs()
        self.config = config
        self.pairs = 0
        self.controller = self.new_controller()

    def new_controller(self) -> RetrainingController:
        """As a lifecycle controller has it after a restart."""
        return RetrainingController(toy_contract(), self.config, self.store, self.jobs, lambda: self.now)

    def truths(self, count: int) -> None:
        numbers = range(self.pairs, self.pairs + count)
        self.pairs += count
        self.store.write_predictions([row(n)._replace(workload="toy", created_at=self.now) for n in numbers])
        self.store.write_truths("toy", [Truth(str(n), {"area_m2": 1.0}) for n in numbers])

    def ask(self, reason: Reason = "drift", **members: Any) -> Retraining:
        request = Request(reason=reason, at=self.now, by="test", **members)
        return self.store.retrainings.request("toy", request)

    @property
    def last(self) -> Retraining:
        return self.store.retrainings.latest("toy")[0]

    def finish(self, **members: object) -> None:
        """What a job writes when it has done its work."""
        last = self.last
        self.store.retrainings.report(
            last.id,
            last.attempts[-1].job,
            lambda there: states.finish(there.model_copy(update=members), self.now),
        )
        self.jobs.states[last.attempts[-1].job] = "succeeded"


@pytest.fixture
def scene(store_url: str) -> Iterator[Scene]:
    scene = Scene(store_url)
    yield scene
    scene.store.close()


def test_from_a_request_to_the_verdicts(scene: Scene) -> None:
    scene.ask()
    scene.controller.reconcile()
    assert scene.last.waits_for == "new truths: there are 0, and 10 are needed"
    scene.truths(12)
    scene.controller.reconcile()
    assert scene.last.state == "running"
    assert scene.last.waits_for is None
    assert scene.last.query is not None
    assert (scene.last.query.after, scene.last.query.until) == (0, 12)
    assert scene.jobs.submitted == [f"retrain-{scene.last.id}-1"]
    scene.finish(arms={"linear": PASSED})
    scene.controller.reconcile()
    assert scene.last.state == "done"
    kinds = [(act.kind, act.detail.get("state")) for act in scene.store.audit_events("toy")]
    assert kinds == [
        ("retraining_asked", None),
        *(("retraining", state) for state in ("submitting", "running", "done")),
    ]


def test_requests_while_one_runs_are_merged_and_recorded(scene: Scene) -> None:
    scene.truths(12)
    first = scene.ask()
    scene.controller.reconcile()
    again = scene.ask("by hand", note="to be sure")
    assert again.id == first.id
    scene.controller.reconcile()
    assert [request.reason for request in scene.last.requests] == ["drift", "by hand"]
    assert len(scene.store.retrainings.latest("toy")) == 1
    assert len(scene.jobs.submitted) == 1


def test_the_next_one_needs_new_truths_and_the_cooldown(scene: Scene) -> None:
    scene.truths(12)
    scene.ask()
    scene.controller.reconcile()
    scene.finish()
    scene.now += timedelta(minutes=10)
    scene.truths(12)
    scene.ask()
    scene.controller.reconcile()
    assert scene.last.waits_for == "the cooldown, until 2026-03-01 12:30 UTC"
    scene.now += timedelta(minutes=25)
    scene.controller.reconcile()
    assert scene.last.state == "running"
    assert scene.last.query is not None
    # it learns from old truths too
    assert (scene.last.query.after, scene.last.query.until) == (0, 24)


def test_only_truths_since_the_change_are_counted_and_learnt_from(scene: Scene) -> None:
    scene.truths(50)
    scene.now += timedelta(minutes=5)
    scene.ask(since=scene.now)
    scene.controller.reconcile()
    assert scene.last.waits_for == "new truths: there are 0, and 10 are needed"
    scene.truths(10)
    scene.controller.reconcile()
    assert scene.last.query is not None
    assert scene.last.query.since == scene.now


def test_a_job_that_dies_is_tried_again_on_the_same_data(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="deployments.lifecycle.retraining_controller")
    scene.truths(12)
    scene.ask()
    scene.controller.reconcile()
    query = scene.last.query
    scene.truths(5)
    scene.jobs.states[scene.jobs.submitted[-1]] = "died"
    scene.controller.reconcile()
    assert scene.last.state == "running"
    assert scene.last.query == query
    scene.jobs.states[scene.jobs.submitted[-1]] = "died"
    scene.controller.reconcile()
    assert (scene.last.state, scene.last.failure) == ("failed", "killed")
    assert len(scene.jobs.submitted) == 2
    records = [one for one in caplog.records if one.name == "deployments.lifecycle.retraining_controller"]
    assert [(one.levelname, one.getMessage()) for one in records] == [
        ("INFO", "retraining started"),
        ("WARNING", "retraining job ended: submitting"),
        ("INFO", "retraining started"),
        ("WARNING", "retraining job ended: failed"),
    ]
    assert {(vars(one)["workload"], vars(one)["retraining"]) for one in records} == {("toy", scene.last.id)}


def test_truths_of_a_retraining_that_failed_are_still_new(scene: Scene) -> None:
    scene.truths(12)
    scene.ask()
    scene.controller.reconcile()
    for _ in range(2):
        scene.jobs.states[scene.jobs.submitted[-1]] = "died"
        scene.controller.reconcile()
    assert scene.last.state == "failed"
    scene.now += timedelta(minutes=31)
    scene.ask()
    scene.controller.reconcile()
    assert (scene.last.state, scene.last.waits_for) == ("running", None)
    scene.finish(arms={"linear": PASSED})
    scene.now += timedelta(days=1)
    scene.ask()
    scene.controller.reconcile()
    assert scene.last.waits_for == "new truths: there are 0, and 10 are needed"


def test_a_job_of_an_earlier_attempt_has_no_say_any_more(scene: Scene) -> None:
    scene.truths(12)
    scene.ask()
    scene.controller.reconcile()
    (lost,) = scene.jobs.states
    del scene.jobs.states[lost]
    scene.controller.reconcile()
    with pytest.raises(Conflict, match="no longer its job"):
        scene.store.retrainings.report(scene.last.id, lost, lambda there: states.finish(there, NOW))
    assert scene.last.state == "running"


def test_what_is_not_there_is_an_error(scene: Scene) -> None:
    with pytest.raises(NotFound, match="no retraining 'x'"):
        scene.store.retrainings.get("x")


def test_stable_data_are_learnt_from_too(scene: Scene) -> None:
    scene.truths(12)
    scene.controller.reconcile()
    assert scene.store.retrainings.latest("toy") == []
    scene.now += timedelta(hours=24)
    scene.controller.reconcile()
    scene.controller.reconcile()
    assert scene.last.state == "running"
    assert scene.last.requests[0].reason == "schedule"
    assert scene.last.requests[0].note == "24 h since 2026-03-01 12:00 UTC"


def test_drift_that_the_monitor_records_requests_once(scene: Scene) -> None:
    def record_event(kind: str, state: SettledState) -> None:
        event = DriftEvent(scene.now, "toy", kind, "", state, "it is warmer", {})
        page = MonitoredPage(scene.now, {}, Cursors(), {})
        scene.store.monitor_feed.write("toy", page, [event])

    scene.truths(50)
    record_event("quality", "drifting")
    record_event("input", "ok")
    scene.controller.reconcile()
    assert scene.store.retrainings.latest("toy") == []
    scene.now += timedelta(minutes=1)
    record_event("concept", "drifting")
    for _ in range(2):
        scene.controller.reconcile()
        scene.new_controller().reconcile()
    (request,) = scene.last.requests
    assert (request.reason, request.by, request.note) == ("drift", "monitor", "concept: it is warmer")
    assert request.since == scene.now
    # what was true before it is not learnt from
    assert scene.last.waits_for == "new truths: there are 0, and 10 are needed"


def test_a_model_that_was_made_too_early_is_made_again_once(scene: Scene) -> None:
    """On all truths since the drift, when there are enough new ones and the cooldown is over."""
    event = DriftEvent(scene.now, "toy", "concept", "linear", "drifting", "it is warmer", {})
    scene.store.monitor_feed.write("toy", MonitoredPage(scene.now, {}, Cursors(), {}), [event])
    scene.truths(10)
    for _ in range(3):
        scene.controller.reconcile()
    scene.finish(arms={"linear": ARCHIVED})
    first = scene.last
    scene.now += timedelta(seconds=1)
    for _ in range(2):
        scene.controller.reconcile()
    assert scene.last.id != first.id
    assert scene.last.waits_for is not None
    assert "cooldown" in scene.last.waits_for
    scene.now += timedelta(minutes=31)
    scene.truths(10)
    for _ in range(2):
        scene.controller.reconcile()
    assert scene.last.state == "running"
    assert scene.last.query is not None
    assert scene.last.query.since == event.at
    scene.finish(arms={"linear": ARCHIVED})
    second = scene.last
    for controller in (scene.controller, scene.new_controller()):
        controller.reconcile()
    assert scene.last.id == second.id


class Killed(BaseException):
    """What a kill looks like to the code that it meets."""


def killed_after(step: str, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Has the next round end just before or after it hands the job to Ray."""
    submit = scene.jobs.submit

    def dying(job: str, retraining_id: str) -> None:
        if step == "after":
            submit(job, retraining_id)
        raise Killed

    monkeypatch.setattr(scene.jobs, "submit", dying)
    return lambda: monkeypatch.setattr(scene.jobs, "submit", submit)


@pytest.mark.parametrize("step", ["before", "after"])
def test_a_controller_that_is_killed_beside_its_act_goes_on_from_the_row(
    scene: Scene, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.truths(12)
    scene.ask()
    revive = killed_after(step, scene, monkeypatch)
    with pytest.raises(Killed):
        scene.controller.reconcile()
    assert scene.last.state == "submitting"
    revive()
    scene.new_controller().reconcile()
    resumed = scene.last
    assert resumed.state == "running"
    assert len(scene.jobs.submitted) == 1
    assert len(scene.last.attempts) == 1


class AnyOrder(RuleBasedStateMachine):
    """Requests, truths, time, kills, deaths and ends of jobs in any order, with one controller or two."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        config = CONFIG.model_copy(update={"every_h": 6.0})
        self.scene = Scene(empty_store(Path(self.folder.name)), config)
        self.requests_made = 0

    def teardown(self) -> None:
        self.scene.store.close()
        self.folder.cleanup()

    @rule(reason=st.sampled_from(["drift", "by hand"]))
    def somebody_asks(self, reason: Reason) -> None:
        self.requests_made += 1
        self.scene.ask(reason)

    @rule(count=st.integers(1, 12))
    def truths_come(self, count: int) -> None:
        self.scene.truths(count)

    @rule(minutes=st.sampled_from([1, 31, 600]))
    def time_goes_by(self, minutes: int) -> None:
        self.scene.now += timedelta(minutes=minutes)

    @rule(is_new=st.booleans(), away=st.booleans())
    def a_controller_reconciles(self, is_new: bool, away: bool) -> None:
        self.scene.jobs.away = away
        controller = self.scene.new_controller() if is_new else self.scene.controller
        try:
            controller.reconcile()
        except JobServiceUnavailable:
            assert away
        self.scene.jobs.away = False

    @rule()
    def the_cluster_is_lost(self) -> None:
        self.scene.jobs.states.clear()

    @precondition(lambda self: self.job_runs())
    @rule(state=st.sampled_from(["died", "succeeded"]))
    def a_job_ends_without_a_word(self, state: JobState) -> None:
        self.scene.jobs.states[self.scene.last.attempts[-1].job] = state

    @precondition(lambda self: self.job_runs())
    @rule(result=st.sampled_from([PASSED, ARCHIVED]))
    def a_job_does_its_work(self, result: ArmResult) -> None:
        self.scene.finish(arms={"linear": result})

    def job_runs(self) -> bool:
        past = self.scene.store.retrainings.latest("toy", 1)
        return bool(past and past[0].attempts and past[0].is_open) and (
            self.scene.jobs.states.get(past[0].attempts[-1].job) == "alive"
        )

    @invariant()
    def all_is_in_order(self) -> None:
        scene, past = self.scene, self.scene.store.retrainings.latest("toy", 1000)
        assert sum(one.is_open for one in past) <= 1
        if past:
            assert not any(one.is_open for one in past[1:])
        # no request is lost or told twice, but for drift that is looked at again; a row counts the oldest
        recorded = [
            (request.at, request.reason) for one in past for request in one.requests if request.by == "test"
        ]
        counted = sum(one.more_requests for one in past)
        assert len(set(recorded)) <= self.requests_made <= len(recorded) + counted
        # no job without its row, and never two at once
        rows = {attempt.job for one in past for attempt in one.attempts}
        assert set(scene.jobs.submitted) <= rows
        assert sum(state == "alive" for state in scene.jobs.states.values()) <= 1
        for one in past:
            assert len(one.attempts) <= CONFIG.attempts
            assert bool(one.attempts) == (one.state != "waiting")
            assert one.query is not None or one.state == "waiting"
            assert (one.ended_at is None) == one.is_open
        starts = sorted(one.started_at for one in past if one.started_at)
        for early, late in zip(starts, starts[CONFIG.jobs_per_day :], strict=False):
            assert late - early >= timedelta(days=1)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=examples(10), stateful_step_count=30, deadline=None)
