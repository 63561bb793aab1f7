"""The checks of a run, whatever was killed in it: by the store, the registry and the load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from sqlalchemy import create_engine, select

from deployments.store import AuditEvent, Store
from deployments.store.monitor_feed import DriftEvent
from deployments.store.sql.schema import truths
from features.config import load_contract
from scripts.demo.synthetic_weather import WORKLOAD
from scripts.host.processes import of_run
from scripts.replay.client import Prediction
from scripts.replay.stream_player import SentRequest
from tests.faults.run import Run
from training.registry.models import Registry
from training.runtime.settings import Settings

# a killed router has not written the answers of the last 0.2 s (docs/explanation/serving.md), and of the
# transaction in progress, which may have waited for others
FLUSH_S = 0.2
TRANSACTION_S = 0.3
# between the kill and its recorded time; an answer is read a little after it was given
NOTED_S = 0.1

_SERVES = ("probation", "kept")
_ENDS = ("kept", "rejected", "rolled_back", "superseded", "aborted")


@dataclass(frozen=True)
class Losses:
    """The losses of the callers in a run.

    Attributes:
        answers: those that are not in the journal.
        requests: those that failed.
        truth_calls: those that failed, in words.
    """

    answers: Sequence[SentRequest]
    requests: Sequence[SentRequest]
    truth_calls: Sequence[str]


def assert_healed(run: Run) -> None:
    timeline = run.played.timeline
    assert timeline.healed_s is not None, f"this step is missing: {timeline.missing}"
    assert all(strike.in_stage for strike in run.strikes), "killed too late"
    assert all(strike.back_after_s is not None for strike in run.strikes)


def assert_one_retraining(run: Run, attempts: int) -> None:
    """Check that there is one retraining, or a second one if not all models of the first passed."""
    *again, first = run.store.retrainings.latest(WORKLOAD)
    assert (first.state, first.requests[0].reason) == ("done", "drift")
    assert first.requests[0].event is not None
    ends = [(one.end or "").split(":")[0] for one in first.attempts]
    assert ends == ["FAILED"] * (attempts - 1) + ["succeeded"]
    assert [(one.state, one.requests[0].event) for one in again] in ([], [("done", None)])
    assert not again or not all(result.passed for result in first.arms.values())


def assert_promoted(run: Run) -> None:
    """Check that each arm had one promotion at a time, and that the registry agrees with the routers."""
    trained = {
        arm: result.model_version
        for retraining in reversed(run.store.retrainings.latest(WORKLOAD))
        for arm, result in retraining.arms.items()
        if result.passed
    }
    newest = {one.arm: one for one in reversed(run.store.promotions.latest(WORKLOAD))}
    states = {arm: (one.model_version, one.state in _SERVES) for arm, one in newest.items()}
    assert states == {arm: (version, True) for arm, version in trained.items()}
    assert most_open_at_once(run.store.audit_events(WORKLOAD, limit=10_000)) == 1
    champions = _champions(run.settings)
    table = run.store.routing(WORKLOAD)
    assert table is not None
    served = {arm: (version.model_version, version.bundle) for arm, version in table.arms.items()}
    assert champions == served
    assert {arm: version for arm, (version, _) in served.items()} == trained


def _champions(settings: Settings) -> dict[str, tuple[str, str]]:
    """Return version and bundle by arm, from a process of its own: MLflow keeps an earlier registry open."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_read_champions, settings).result()


def _read_champions(settings: Settings) -> dict[str, tuple[str, str]]:
    champions = Registry(settings).champions(WORKLOAD)
    return {arm: (one.version, one.bundle) for arm, one in champions.items()}


def assert_drift_is_recorded_once(run: Run) -> None:
    assert repeated_events(run.store.monitor_feed.events(WORKLOAD)) == []


def assert_nothing_left(run: Run) -> None:
    assert of_run(run.run_id) == []


def find_losses(run: Run) -> Losses:
    """Find the losses of the callers in a run."""
    journalled = {row.id for row in all_predictions(run.store)}
    sent, streamed = run.played.streamed.sent, run.played.streamed
    return Losses(
        answers=[
            one for one in sent if isinstance(one.outcome, Prediction) and one.outcome.id not in journalled
        ],
        requests=[one for one in sent if not isinstance(one.outcome, Prediction)],
        truth_calls=streamed.truth_failures,
    )


def assert_lost_no_more_than_a_router(run: Run, losses: Losses) -> None:
    """Check that only the journal's buffer and the requests of a killed router replica are lost."""
    kills_s = [strike.at_s for strike in run.strikes if strike.victim == "Router"]
    assert [_describe(one, kills_s) for one in losses.answers if not was_just_answered(one, kills_s)] == []
    assert [_describe(one, kills_s) for one in losses.requests if not was_in_flight(one, kills_s)] == []
    # one call is in flight at a time
    assert len(losses.truth_calls) <= len(kills_s), losses.truth_calls


def assert_truths_are_kept(run: Run) -> None:
    """Check that each acknowledged truth is stored once, as it was sent."""
    target = load_contract(run.settings.workloads, WORKLOAD).target
    streamed = run.played.streamed
    known = {
        one.outcome.id: {target.name: target.to_json(one.case.target)}
        for one in streamed.sent
        if isinstance(one.outcome, Prediction)
    }
    taken = streamed.truths_taken
    assert max(Counter(taken).values()) == 1
    kept = _truths(run)
    assert {key: kept.get(key) for key in taken} == {key: known[key] for key in taken}
    assert run.store.counts(WORKLOAD).repeated == 0
    assert streamed.feedback.duplicate == 0


def _truths(run: Run) -> dict[str, Any]:
    engine = create_engine(run.settings.store_url)
    with engine.connect() as connection:
        rows = connection.execute(select(truths.c.id, truths.c.value)).all()
    engine.dispose()
    return {row.id: row.value for row in rows}


def all_predictions(store: Store) -> Iterable[Any]:
    """Yield the rows of the journal from its begin."""
    after = 0
    while rows := store.predictions(WORKLOAD, after):
        yield from (row for _, row in rows)
        after = rows[-1][0]


def _describe(one: SentRequest, kills_s: Sequence[float]) -> str:
    came = (
        "an answer" if isinstance(one.outcome, Prediction) else f"{one.outcome.status} {one.outcome.reason}"
    )
    return f"sent {one.sent_s:.3f} s, ended {one.ended_s:.3f} s: {came}; kills at {kills_s} s"


def was_just_answered(one: SentRequest, kills_s: Sequence[float]) -> bool:
    """Return whether a killed router may have had the answer in its buffer."""
    return any(
        kill_s - FLUSH_S - TRANSACTION_S - NOTED_S <= one.ended_s <= kill_s + NOTED_S for kill_s in kills_s
    )


def was_in_flight(one: SentRequest, kills_s: Sequence[float]) -> bool:
    """Return whether a killed router may have had the request."""
    return any(one.sent_s <= kill_s + NOTED_S and one.ended_s >= kill_s - NOTED_S for kill_s in kills_s)


def repeated_events(events: Iterable[DriftEvent]) -> list[DriftEvent]:
    """Return the events whose detector was in that state already; it begins as ok."""
    states: dict[tuple[str, str], str] = {}
    repeated = []
    for event in events:
        if states.get((event.kind, event.subject), "ok") == event.state:
            repeated.append(event)
        states[event.kind, event.subject] = event.state
    return repeated


def most_open_at_once(events: Iterable[AuditEvent]) -> int:
    """Return the largest number of promotions of one arm that were open at once."""
    open_by_arm: dict[str, set[str]] = {}
    most = 0
    for detail in (event.detail for event in events if event.kind == "promotion"):
        open_promotions = open_by_arm.setdefault(detail["arm"], set())
        _move(open_promotions, detail)
        most = max(most, len(open_promotions))
    return most


def _move(open_promotions: set[str], detail: Mapping[str, Any]) -> None:
    if detail["state"] in _ENDS:
        open_promotions.discard(detail["id"])
    else:
        open_promotions.add(detail["id"])
