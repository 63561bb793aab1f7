"""The rows of retrainings: one a retraining, at most one of a workload open."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, Engine
from ulid_transform import ulid_now

from deployments.domain import retraining_transitions as transitions
from deployments.domain.audit import LIFECYCLE_CONTROLLER
from deployments.domain.errors import Conflict
from deployments.domain.retraining import Request, Retraining
from deployments.store.routes import record_audit_event
from deployments.store.sql.engine import writing
from deployments.store.state_rows import StateRows, state_table

retrainings = state_table("retrainings")


class Retrainings(StateRows[Retraining]):
    """Retrainings of all workloads. Every method raises StoreUnavailable."""

    def __init__(
        self, engine: Engine, clock: Callable[[], datetime], new_id: Callable[[], str] = ulid_now
    ) -> None:
        super().__init__(engine, clock, retrainings, Retraining, "retraining", new_id)

    def request(self, workload: str, request: Request) -> Retraining:
        """Return the retraining that the request became, or was merged into; it is an audit event."""
        with writing(self._engine) as connection:
            there = next(iter(self._all_open(connection, workload)), None)
            retraining = transitions.add_request(there, workload, self._new_id(), request)
            if there is None:
                self._add(connection, retraining)
            else:
                self._replace(connection, retraining)
            detail = {"id": retraining.id, "merged": there is not None, **request.model_dump(mode="json")}
            record_audit_event(connection, workload, "retraining_asked", request.by, detail, self._clock())
        return retraining

    def change(self, seen: Retraining, transition: Callable[[Retraining], Retraining]) -> Retraining:
        """Apply `transition` to the row, which has to be where `seen` was: its state and its attempts.

        Raises:
            Conflict: somebody else has moved it on.
            NotFound: there is no such retraining.
        """
        with writing(self._engine) as connection:
            there = self._read(connection, seen.id)
            if (there.state, len(there.attempts)) != (seen.state, len(seen.attempts)):
                raise Conflict(f"retraining {seen.id}: is {there.state} by now, not {seen.state}")
            return self._move(connection, there, transition(there))

    def report(
        self, retraining_id: str, job: str, transition: Callable[[Retraining], Retraining]
    ) -> Retraining:
        """Apply `transition` to the row on behalf of its last job.

        Raises:
            Conflict: the job is not the last one, or the retraining has ended: its work is no longer wanted.
            NotFound: there is no such retraining.
        """
        with writing(self._engine) as connection:
            there = self._read(connection, retraining_id)
            if not (there.is_open and there.attempts and there.attempts[-1].job == job):
                raise Conflict(f"retraining {retraining_id}: {job} is no longer its job")
            return self._move(connection, there, transition(there))

    def _move(self, connection: Connection, there: Retraining, changed: Retraining) -> Retraining:
        """Write the row; each change of its state is an audit event."""
        if changed == there:
            return there
        self._replace(connection, changed)
        if (changed.state, len(changed.attempts)) != (there.state, len(there.attempts)):
            detail = {"id": changed.id, "state": changed.state, "attempts": len(changed.attempts)}
            detail |= {"failure": changed.failure, "arms": _verdicts(changed)}
            record_audit_event(
                connection, changed.workload, "retraining", LIFECYCLE_CONTROLLER, detail, self._clock()
            )
        return changed


def _verdicts(retraining: Retraining) -> dict[str, bool]:
    return {arm: result.passed for arm, result in retraining.arms.items()}
