"""What must hold after a run, whatever was killed in it: read from the store, the registry and the load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from sqlalchemy import create_engine, select

from deployments.store import Act, Store
from deployments.store.monitor_feed import DriftEvent
from deployments.store.sql.schema import truths
from features.config import load_contract
from scripts.demo.synthetic_weather import WORKLOAD
from scripts.host.processes import of_run
from scripts.replay.client import Prediction
from scripts.replay.stream_player import Sent
from tests.faults.run import Run
from training.registry.models import Registry
from training.runtime.settings import Settings

# what a killed router has not written: the answers of the last 0.2 s (docs/architecture.md), and those of
# the transaction that was under way, which may have waited for others
FLUSH_S = 0.2
TRANSACTION_S = 0.3
# between the kill, and the moment that is noted; an answer is read a little after it was given
NOTED_S = 0.1

_SERVES = ("probation", "kept")
_ENDS = ("kept", "rejected", "rolled_back", "superseded")


@dataclass(frozen=True)
class Losses:
    """What a run cost its callers.

    Attributes:
        answers: that are not in the journal.
        requests: that failed.
        truth_calls: that failed, in words.
    """

    answers: Sequence[Sent]
    requests: Sequence[Sent]
    truth_calls: Sequence[str]


def assert_healed(run: Run) -> None:
    story = run.played.story
    assert story.healed_s is not None, f"it never came to: {story.missing}"
    assert all(strike.in_stage for strike in run.strikes), "killed too late"
    assert all(strike.back_after_s is not None for strike in run.strikes)


def assert_one_retraining(run: Run, attempts: int) -> None:
    """And a second try at most, if the first did not show every new model to be better."""
    *again, first = run.store.retrainings.latest(WORKLOAD)
    assert (first.state, first.requests[0].reason) == ("done", "drift")
    assert first.requests[0].event is not None
    ends = [(one.end or "").split(":")[0] for one in first.attempts]
    assert ends == ["FAILED"] * (attempts - 1) + ["succeeded"]
    assert [(one.state, one.requests[0].event) for one in again] in ([], [("done", None)])
    assert not again or not all(result.passed for result in first.arms.values())


def assert_promoted(run: Run) -> None:
    """Every arm by one promotion at a time, and the registry says what the routers do."""
    trained = {
        arm: result.model_version
        for retraining in reversed(run.store.retrainings.latest(WORKLOAD))
        for arm, result in retraining.arms.items()
        if result.passed
    }
    newest = {one.arm: one for one in reversed(run.store.promotions.latest(WORKLOAD))}
    states = {arm: (one.model_version, one.state in _SERVES) for arm, one in newest.items()}
    assert states == {arm: (version, True) for arm, version in trained.items()}
    assert most_open_at_once(run.store.acts(WORKLOAD, limit=10_000)) == 1
    champions = _champions(run.settings)
    table = run.store.routing(WORKLOAD)
    assert table is not None
    served = {arm: (version.model_version, version.bundle) for arm, version in table.arms.items()}
    assert champions == served
    assert {arm: version for arm, (version, _) in served.items()} == trained


def _champions(settings: Settings) -> dict[str, tuple[str, str]]:
    """Version and bundle by arm. In a process of its own: MLflow keeps open what a run before had."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_read_champions, settings).result()


def _read_champions(settings: Settings) -> dict[str, tuple[str, str]]:
    champions = Registry(settings).champions(WORKLOAD)
    return {arm: (one.version, one.bundle) for arm, one in champions.items()}


def assert_drift_is_recorded_once(run: Run) -> None:
    assert repeated_events(run.store.monitor_feed.events(WORKLOAD)) == []


def assert_nothing_left(run: Run) -> None:
    assert of_run(run.run_id) == []


def losses_of(run: Run) -> Losses:
    """What a run cost its callers."""
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
    """What a router replica that is killed may take along: its journal's buffer, and what it was asked."""
    kills_s = [strike.at_s for strike in run.strikes if strike.victim == "Router"]
    assert [_told(one, kills_s) for one in losses.answers if not was_just_answered(one, kills_s)] == []
    assert [_told(one, kills_s) for one in losses.requests if not was_under_way(one, kills_s)] == []
    # one call is under way at a time
    assert len(losses.truth_calls) <= len(kills_s), losses.truth_calls


def assert_truths_are_kept(run: Run) -> None:
    """Each that was acknowledged is there once, as it was sent."""
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
    """The journal, from its begin."""
    after = 0
    while rows := store.predictions(WORKLOAD, after):
        yield from (row for _, row in rows)
        after = rows[-1][0]


def _told(one: Sent, kills_s: Sequence[float]) -> str:
    came = (
        "an answer" if isinstance(one.outcome, Prediction) else f"{one.outcome.status} {one.outcome.reason}"
    )
    return f"sent {one.sent_s:.3f} s, ended {one.ended_s:.3f} s: {came}; kills at {kills_s} s"


def was_just_answered(one: Sent, kills_s: Sequence[float]) -> bool:
    """Whether a killed router may have had the answer in its buffer."""
    return any(
        kill_s - FLUSH_S - TRANSACTION_S - NOTED_S <= one.ended_s <= kill_s + NOTED_S for kill_s in kills_s
    )


def was_under_way(one: Sent, kills_s: Sequence[float]) -> bool:
    """Whether a killed router may have been asked."""
    return any(one.sent_s <= kill_s + NOTED_S and one.ended_s >= kill_s - NOTED_S for kill_s in kills_s)


def repeated_events(events: Iterable[DriftEvent]) -> list[DriftEvent]:
    """Return the events whose detector was in that state already; it begins as ok."""
    states: dict[tuple[str, str], str] = {}
    again = []
    for event in events:
        if states.get((event.kind, event.subject), "ok") == event.state:
            again.append(event)
        states[event.kind, event.subject] = event.state
    return again


def most_open_at_once(acts: Iterable[Act]) -> int:
    """Candidacies of one arm."""
    open_ones: dict[str, set[str]] = {}
    most = 0
    for detail in (act.detail for act in acts if act.kind == "promotion"):
        of_arm = open_ones.setdefault(detail["arm"], set())
        _move(of_arm, detail)
        most = max(most, len(of_arm))
    return most


def _move(of_arm: set[str], detail: Mapping[str, Any]) -> None:
    if detail["state"] in _ENDS:
        of_arm.discard(detail["id"])
    else:
        of_arm.add(detail["id"])
