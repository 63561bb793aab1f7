"""The retrainings of one workload: they are started, their jobs are watched, and their ends are recorded.

Every step is a row before it is an act. Several lifecycle controllers may meet: one of them moves
the row.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from deployments.domain import retraining_transitions as states
from deployments.domain.errors import Conflict
from deployments.domain.retraining import Request, Retraining
from deployments.domain.retraining_transitions import Facts, JobState
from deployments.store import Store
from features.contract import Contract
from training.runtime.journal_query import JournalQuery
from training.runtime.retraining_config import RetrainingConfig

log = logging.getLogger(__name__)

# A feed that breaks is no reason to learn from it.
_TEACHING = ("input", "concept", "calibration")
# What the Monitor tells of single arms.
_OF_ARMS = ("concept", "calibration")
_PAST_EVENTS_IN = 1000


class JobServiceUnavailable(RuntimeError):
    """The part of Ray that runs jobs does not answer; it may come back."""


class Jobs(Protocol):
    """Where jobs run. Both raise `JobServiceUnavailable`."""

    def submit(self, job: str, retraining_id: str) -> None:
        """Start the job under this id, unless it was started before."""

    def state(self, job: str) -> tuple[JobState, str]:
        """How it is, and why it died."""


class RetrainingController:
    """Keeps the retrainings of one workload going. Synchronous; call it from a thread.

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
        self._heard: int | None = None
        self._looked_back_at = ""

    def reconcile(self) -> None:
        """One round.

        Raises:
            JobServiceUnavailable: a job cannot be started or asked about now; the row tells where to go on.
            StoreUnavailable: as for the store.
        """
        self._hear()
        past = self._rows.latest(self._workload, limit=self._config.jobs_per_day + 1)
        try:
            if not past or not past[0].is_open:
                self._routine(past[0] if past else None)
            elif past[0].state == "waiting":
                self._start_if_due(past[0], past[1:])
            elif past[0].state == "submitting":
                self._submit(past[0])
            else:
                self._observe(past[0])
        except Conflict as moved:
            log.info("%s", moved, extra={"workload": self._workload})

    def _hear(self) -> None:
        """Ask for every drift that the Monitor told of since the last one that asked."""
        if self._heard is None:
            past = self._rows.latest(self._workload, _PAST_EVENTS_IN)
            self._heard = max((one.event or 0 for row in past for one in row.requests), default=0)
        for event in self._events.events(self._workload, self._heard):
            if event.state == "drifting" and event.kind in _TEACHING:
                note = f"{event.kind}: {event.reason}"
                asked = Request(
                    reason="drift", at=self._clock(), by="monitor", note=note, since=event.at, event=event.seq
                )
                self._rows.ask(self._workload, asked)
            self._heard = event.seq

    def _routine(self, last: Retraining | None) -> None:
        late = states.follow_up(last) or self._second_try(last) if last else None
        first = self._journal.first_at(self._workload) if last is None else None
        request = late or states.routine(self._config, last, first, self._clock())
        if request is not None:
            self._rows.ask(self._workload, request)

    def _second_try(self, last: Retraining) -> Request | None:
        if last.id == self._looked_back_at:
            return None
        self._looked_back_at = last.id
        events = self._events.last_events(self._workload).values()
        erring = {one.subject for one in events if one.state == "drifting" and one.kind in _OF_ARMS}
        return states.second_try(last, erring, self._clock())

    def _start_if_due(self, asked: Retraining, past: list[Retraining]) -> None:
        query = self._query(asked)
        why = states.waits_for(self._config, asked, self._facts(query, past), self._clock())
        if why is None:
            self._submit(self._rows.change(asked, lambda row: states.start(row, self._clock(), query)))
        elif why != asked.waits_for:
            self._rows.change(asked, lambda row: row.model_copy(update={"waits_for": why}))

    def _submit(self, retraining: Retraining) -> None:
        self._jobs.submit(retraining.attempts[-1].job, retraining.id)
        self._rows.change(retraining, states.confirm)
        log.info("retraining started", extra=self._labels(retraining))

    def _observe(self, retraining: Retraining) -> None:
        job, told = self._jobs.state(retraining.attempts[-1].job)
        if job == "alive":
            return
        moved = self._rows.change(
            retraining, lambda row: states.observe(self._config, row, job, told, self._clock())
        )
        log.warning("retraining job ended: %s", moved.state, extra=self._labels(moved))
        if moved.state == "submitting":
            self._submit(moved)

    def _query(self, asked: Retraining) -> JournalQuery:
        return self._journal.newest(
            self._workload, self._schema_version, self._config.max_truths, asked.since
        )

    def _facts(self, query: JournalQuery, past: list[Retraining]) -> Facts:
        """`past` is newest first."""
        seen = max((one.query.until for one in past if one.query and one.state == "done"), default=0)
        fresh = query.model_copy(update={"after": max(query.after, seen)})
        enough = self._config.min_truths
        return Facts(
            truths=self._journal.count(query, enough),
            new_truths=self._journal.count(fresh, enough),
            last_end=past[0].ended_at if past else None,
            starts=tuple(one.started_at for one in past if one.started_at),
        )

    def _labels(self, retraining: Retraining) -> dict[str, str]:
        return {"workload": self._workload, "retraining": retraining.id}
