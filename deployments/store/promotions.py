"""The rows of promotions: one a version that may take an arm's place, at most one of an arm open."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Column, Connection, Engine, String, select
from ulid_transform import ulid_now

from deployments.domain import promotion_transitions as transitions
from deployments.domain.audit import LIFECYCLE_CONTROLLER
from deployments.domain.errors import Conflict, NotFound
from deployments.domain.promotion import Promotion
from deployments.domain.routing import ArmVersion, RoutingTable
from deployments.store.routes import record_audit_event
from deployments.store.sql.engine import reading, writing
from deployments.store.state_rows import StateRows, state_table
from features.errors import printable

promotions = state_table(
    "promotions",
    Column("arm", String(64), nullable=False),
    Column("model_version", String(64), nullable=False),
)


class Promotions(StateRows[Promotion]):
    """Promotions of all workloads. Every method raises StoreUnavailable."""

    def __init__(
        self, engine: Engine, clock: Callable[[], datetime], new_id: Callable[[], str] = ulid_now
    ) -> None:
        super().__init__(engine, clock, promotions, Promotion, "promotion", new_id)

    def open(self, workload: str) -> list[Promotion]:
        """Return the promotions under way, oldest first."""
        with reading(self._engine) as connection:
            return self._all_open(connection, workload)

    def was_evaluated(self, workload: str, arm: str, model_version: str) -> bool:
        """Return whether a promotion of this version has ended that began by itself."""
        columns = promotions.c
        query = select(columns.content).where(
            columns.workload == workload,
            columns.arm == arm,
            columns.model_version == model_version,
            columns.is_open.is_(False),
        )
        with reading(self._engine) as connection:
            found = [Promotion.model_validate(content) for content in connection.scalars(query)]
        return any(not one.by_hand for one in found)

    def begin(self, workload: str, arm: str, candidate: ArmVersion, champion: ArmVersion | None) -> Promotion:
        """Begin the promotion of a version that has passed the gate.

        Raises:
            Conflict: one of the arm is under way.
        """
        begun = transitions.begin(self._new_id(), workload, arm, candidate, champion, self._clock())
        return self._begin(begun, LIFECYCLE_CONTROLLER)

    def promote(self, workload: str, arm: str, model_version: str, by: str, note: str) -> Promotion:
        """Begin the promotion of a version that a person wants to serve, or shorten the one under way.

        Raises:
            Conflict: another version of the arm is under way.
        """
        for there in self.open(workload):
            if (there.arm, there.model_version, there.state) == (arm, model_version, "shadowing"):
                return self.change(there, lambda row: transitions.promote(row, by, self._clock()), by)
        return self._begin(
            transitions.request(self._new_id(), workload, arm, model_version, by, note, self._clock()), by
        )

    def roll_back(self, workload: str, arm: str, table: RoutingTable, by: str, note: str) -> Promotion:
        """Have the version before serve again, as a person wants it.

        Args:
            table: says which that was.

        Raises:
            Conflict: there was none, or a promotion is under way that nobody can take back.
        """
        for there in self.open(workload):
            if there.arm == arm and there.predecessor and there.state in ("promoting", "probation"):
                return self.change(there, lambda row: transitions.roll_back(row, by, self._clock()), by)
        before = table.previous.get(arm)
        if before is None:
            raise Conflict(f"{arm} has had no version before that it could go back to")
        return self.promote(workload, arm, before.model_version, by, note)

    def abort(self, workload: str, promotion_id: str, by: str, note: str) -> Promotion:
        """End a promotion where it is, as a person wants it.

        Raises:
            NotFound: the workload has no such promotion.
            Conflict: it has ended, or has just been moved on.
        """
        there = self.get(promotion_id)
        if there.workload != workload:
            raise NotFound(f"no promotion {printable(promotion_id)!r}")
        if not there.is_open:
            raise Conflict(f"promotion {there.id}: has ended, it is {there.state}")

        def end(row: Promotion) -> Promotion:
            ended = transitions.abort(row, by, self._clock())
            return ended.model_copy(update={"note": note}) if note else ended

        return self.change(there, end, by)

    def change(
        self, seen: Promotion, transition: Callable[[Promotion], Promotion], actor: str = LIFECYCLE_CONTROLLER
    ) -> Promotion:
        """Apply `transition` to the row, which has to be where `seen` was: its state and its looks.

        Raises:
            Conflict: somebody else has moved it on.
            NotFound: there is no such promotion.
        """
        with writing(self._engine) as connection:
            there = self._read(connection, seen.id)
            if (there.state, len(there.looks)) != (seen.state, len(seen.looks)):
                raise Conflict(f"promotion {seen.id}: is {there.state} by now, not {seen.state}")
            changed = transition(there)
            if changed != there:
                self._replace(connection, changed)
                if changed.state != there.state:
                    self._record(connection, changed, actor)
        return changed

    def _begin(self, promotion: Promotion, actor: str) -> Promotion:
        with writing(self._engine) as connection:
            arm = promotion.arm
            for there in self._all_open(connection, promotion.workload, promotions.c.arm == arm):
                raise Conflict(f"{arm}: version {there.model_version} is {there.state} now")
            self._add(connection, promotion, arm=arm, model_version=promotion.model_version)
            self._record(connection, promotion, actor)
        return promotion

    def _record(self, connection: Connection, promotion: Promotion, actor: str) -> None:
        """Write the audit event of a change of state."""
        detail = promotion.model_dump(
            mode="json", include={"id", "arm", "model_version", "state", "reason", "note"}
        )
        record_audit_event(connection, promotion.workload, "promotion", actor, detail, self._clock())
