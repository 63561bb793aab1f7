"""The retrainings of one workload: reads what decides about them, and acts on what was decided.

Every step is a row before it is an act. Several lifecycle controllers may meet: one of them moves the row.
The decisions are in `retraining_decisions`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from deployments.domain import retraining_transitions as transitions
from deployments.domain.errors import Conflict
from deployments.domain.retraining import Retraining
from deployments.domain.retraining_transitions import JobState, StartConditions
from deployments.lifecycle.observation import RetrainingObservation
from deployments.lifecycle.retraining_decisions import (
    EndAttempt,
    RecordWaiting,
    RequestRetraining,
    RetrainingAction,
    StartAttempt,
    SubmitJob,
    decide_requests,
    decide_retraining,
    drifting_arms,
)
from deployments.store import Store
from features.contract import Contract
from training.runtime.journal_query import JournalQuery
from training.runtime.retraining_config import RetrainingConfig

log = logging.getLogger(__name__)

_PAST_EVENTS_IN = 1000


class JobServiceUnavailable(RuntimeError):
    """The part of Ray that runs jobs does not answer; it may come back."""


class Jobs(Protocol):
    """A service that runs jobs. Both methods raise `JobServiceUnavailable`."""

    def submit(self, job: str, retraining_id: str) -> None:
        """Start the job under this id, unless it was started before."""

    def state(self, job: str) -> tuple[JobState, str]:
        """Return how it is, and why it died."""


class RetrainingController:
    """A controller of the retrainings of one workload. Synchronous; call it from a thread.

    Args:
        contract: of the workload.
        config: its section `retraining`.
        store: rows and pairs.
        jobs: where jobs run.
        clock: UTC time.
    """

    def __init__(
        self,
        contract: Contract,
        config: RetrainingConfig,
        store: Store,
        jobs: Jobs,
        clock: Callable[[], datetime],
    ) -> None:
        self._workload = contract.workload
        self._schema_version = contract.schema_version
        self._config = config
        self._rows = store.retrainings
        self._journal = store.journal(contract.target.name)
        self._events = store.monitor_feed
        self._jobs = jobs
        self._clock = clock
        # how far the drift events were read, and the retraining after which they were read once more
        self._cursor: int | None = None
        self._reviewed_id = ""

    def reconcile(self) -> None:
        """Ask for a retraining where something drifts, then bring the newest retraining a step on.

        In this order, so that drift is asked for while the job service is away.

        Raises:
            JobServiceUnavailable: a job cannot be started or asked about now; the row tells where to go on.
            StoreUnavailable: as for the store.
        """
        self._request_for_drift()
        seen = self._observe()
        try:
            for action in decide_retraining(self._config, seen):
                self._act(action)
        except Conflict as moved:
            # what follows a step that another controller has taken is that controller's to do
            log.info("%s", moved, extra={"workload": self._workload})
            return
        if seen.past and not seen.past[0].is_open:
            self._reviewed_id = seen.past[0].id

    def _request_for_drift(self) -> None:
        """Ask once for every drift event since the last one that asked."""
        if self._cursor is None:
            past = self._rows.latest(self._workload, _PAST_EVENTS_IN)
            self._cursor = max((one.event or 0 for row in past for one in row.requests), default=0)
        events = self._events.events(self._workload, self._cursor)
        for action in decide_requests(events, self._clock()):
            self._act(action)
            self._cursor = action.request.event
        if events:
            self._cursor = events[-1].seq

    def _observe(self) -> RetrainingObservation:
        """Read the newest retrainings, and what the state of the newest one calls for."""
        past = tuple(self._rows.latest(self._workload, limit=self._config.jobs_per_day + 1))
        seen = RetrainingObservation(self._clock(), past)
        if not past:
            return replace(seen, first_truth=self._journal.first_at(self._workload))
        newest = past[0]
        if not newest.is_open:
            return replace(seen, drifting_arms=self._drifting_arms(newest))
        if newest.state == "waiting":
            query = self._query(newest)
            return replace(seen, query=query, conditions=self._start_conditions(query, past[1:]))
        if newest.state == "running":
            return replace(seen, job=self._jobs.state(newest.attempts[-1].job))
        return seen

    def _act(self, action: RetrainingAction) -> None:
        rows = self._rows
        if isinstance(action, RequestRetraining):
            rows.request(self._workload, action.request)
        elif isinstance(action, RecordWaiting):
            rows.change(action.seen, lambda row: row.model_copy(update={"waits_for": action.reason}))
        elif isinstance(action, StartAttempt):
            rows.change(action.seen, lambda row: transitions.start(row, action.at, action.query))
        elif isinstance(action, SubmitJob):
            self._submit(action.seen)
        else:
            self._end_attempt(action)

    def _submit(self, retraining: Retraining) -> None:
        self._jobs.submit(retraining.attempts[-1].job, retraining.id)
        self._rows.change(retraining, transitions.confirm)
        log.info("retraining started", extra=self._labels(retraining))

    def _end_attempt(self, action: EndAttempt) -> None:
        moved = self._rows.change(
            action.seen,
            lambda row: transitions.observe(self._config, row, action.job, action.message, action.at),
        )
        log.warning("retraining job ended: %s", moved.state, extra=self._labels(moved))

    def _drifting_arms(self, ended: Retraining) -> frozenset[str]:
        """Return the arms that drift on after a retraining; none from the second round on."""
        if ended.id == self._reviewed_id:
            return frozenset()
        return drifting_arms(self._events.last_events(self._workload).values())

    def _query(self, waiting: Retraining) -> JournalQuery:
        return self._journal.newest(
            self._workload, self._schema_version, self._config.max_truths, waiting.since
        )

    def _start_conditions(self, query: JournalQuery, past: tuple[Retraining, ...]) -> StartConditions:
        """Count what decides about a start; `past` is newest first."""
        seen = max((one.query.until for one in past if one.query and one.state == "done"), default=0)
        fresh = query.model_copy(update={"after": max(query.after, seen)})
        enough = self._config.min_truths
        return StartConditions(
            truths=self._journal.count(query, enough),
            new_truths=self._journal.count(fresh, enough),
            last_end=past[0].ended_at if past else None,
            starts=tuple(one.started_at for one in past if one.started_at),
        )

    def _labels(self, retraining: Retraining) -> dict[str, str]:
        return {"workload": self._workload, "retraining": retraining.id}
