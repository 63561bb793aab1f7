"""The store: predictions, truths and their joins, routing tables, audit events. Synchronous; for threads.

The rule for truths: the first truth of an id stands, whatever comes later. A later one for the same id is
kept apart, with whether it differs, and counted as a duplicate. A truth may come before its
prediction (which the router writes a moment after the answer): it is kept and counted as unmatched, and
joins when the prediction arrives. A truth is on disk before `write_truths` returns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, Row, func, select

from deployments.domain.routing import ArmVersion, HeldBack, RoutingPolicy, RoutingTable
from deployments.domain.samples import Samples
from deployments.store import ensemble_pairs, histories, reused_ids, routes, waiting_truths
from deployments.store import truths as truth_rows
from deployments.store.examples import StoreJournal
from deployments.store.inventory import Inventory, take_inventory
from deployments.store.metrics_snapshot import MetricsSnapshots
from deployments.store.migrations.upgrade import create_tables
from deployments.store.monitor_feed import MonitorFeed
from deployments.store.prediction_insert import insert_predictions
from deployments.store.promotions import Promotions
from deployments.store.records import (
    AuditEvent,
    FeedbackCounts,
    JoinedRow,
    LabelledRow,
    PredictionRecord,
    StoreCounts,
    Truth,
)
from deployments.store.removal.erasure import erase
from deployments.store.retrainings import Retrainings
from deployments.store.shadow_store import ShadowStore
from deployments.store.sql import engine as db
from deployments.store.sql.cursor import after_cursor, join_pairs
from deployments.store.sql.schema import audit_events, joins, predictions, repeated_truths, truths


def utc_now() -> datetime:
    """Return the time, as the clock of a store that is not under test."""
    return datetime.now(UTC)


class Store:
    """The store in one database, which any number of processes use at once.

    Every method raises StoreUnavailable when the database cannot be reached or stays locked.

    Args:
        url: SQLAlchemy URL, sqlite:///PATH or postgresql://USER@HOST/DATABASE.
        clock: UTC time of the rows.
    """

    def __init__(self, url: str, clock: Callable[[], datetime] = utc_now) -> None:
        self._engine = db.open_engine(url)
        self._clock = clock
        self.retrainings = Retrainings(self._engine, clock)
        self.monitor_feed = MonitorFeed(self._engine, clock)
        self.shadows = ShadowStore(self._engine)
        self.promotions = Promotions(self._engine, clock)
        self.snapshots = MetricsSnapshots(self._engine)

    @property
    def engine(self) -> Engine:
        """SQLAlchemy's engine, for tools and checks that read tables themselves."""
        return self._engine

    def create_tables(self) -> bool:
        """Make missing tables, and upgrade older ones without loss; return whether there was anything to do.

        Raises:
            StoreTooNew: a later version of raysonde has upgraded the store.
            StoreEncoding: the database is not in UTF-8.
        """
        return create_tables(self._engine)

    def inventory(self) -> Inventory:
        """Count the rows of each table; see `take_inventory`."""
        return take_inventory(self._engine)

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        self._engine.dispose()

    def write_predictions(self, rows: Sequence[PredictionRecord]) -> list[str]:
        """Add predictions, and join those whose truth waits. Rows whose id is there are left out.

        Returns:
            the ids of those left out that are of another instance than the one that is there; see
            `reused_ids`.
        """
        if not rows:
            return []
        reused: list[str] = []
        with db.writing(self._engine) as connection:
            inserted = insert_predictions(connection, rows)
            for workload in {row.workload for row in rows}:
                own = [row for row in rows if row.workload == workload]
                if inserted < len(rows):
                    reused += reused_ids.mark(connection, workload, own)
                joined = truth_rows.join(connection, workload, [row.id for row in own])
                waiting_truths.remove(connection, workload, joined)
        return reused

    def payloads(self, workload: str, ids: Sequence[str]) -> dict[str, str]:
        """Return the instances of those of these ids that have a prediction in the journal."""
        with db.reading(self._engine) as connection:
            return reused_ids.read_payloads(connection, workload, ids)

    def write_truths(self, workload: str, items: Sequence[Truth]) -> FeedbackCounts:
        """Add truths in one transaction, by the rule above."""
        return self.write_truth_calls(workload, [items])[0]

    def write_truth_calls(self, workload: str, calls: Sequence[Sequence[Truth]]) -> list[FeedbackCounts]:
        """Add the truths of each call in turn, in one transaction: all are written, or none is."""
        with db.writing(self._engine) as connection:
            return truth_rows.write(connection, workload, calls, self._clock())

    def exchange_samples(
        self,
        workload: str,
        items: Sequence[tuple[str, Samples]],
        *,
        time_column: int,
        most_samples: int,
        most_entities: int,
    ) -> list[Samples]:
        """Add samples of entities, and return those that each had before; see `histories.exchange`."""
        with db.writing(self._engine) as connection:
            return histories.exchange(
                connection,
                workload,
                items,
                time_column=time_column,
                most_samples=most_samples,
                most_entities=most_entities,
                now=self._clock(),
            )

    def predictions(
        self, workload: str, after: int = 0, limit: int = 1000
    ) -> list[tuple[int, PredictionRecord]]:
        """Return the predictions written after the cursor, oldest first, each with its cursor."""
        query = after_cursor(select(predictions), predictions, workload, after, limit)
        with db.reading(self._engine) as connection:
            return [(row.seq, _prediction(row)) for row in connection.execute(query)]

    def joined(self, workload: str, after: int = 0, limit: int = 1000) -> list[JoinedRow]:
        """Return the pairs completed after the cursor, in the order of their completion."""
        columns = (
            joins.c.seq.label("join_seq"),
            predictions,
            truths.c.value,
            truths.c.observed_at,
            truths.c.received_at,
        )
        query = after_cursor(join_pairs(select(*columns)), joins, workload, after, limit)
        with db.reading(self._engine) as connection:
            return [
                JoinedRow(row.join_seq, _prediction(row), row.value, row.observed_at, row.received_at)
                for row in connection.execute(query)
            ]

    def labelled(self, workload: str, after: int, limit: int = 1000) -> list[LabelledRow]:
        """Return the pairs completed after the cursor, as `joined` does, but without their payloads."""
        with db.reading(self._engine) as connection:
            return ensemble_pairs.read(connection, workload, after, limit)

    def labelled_tail(self, workload: str, rows: int) -> int:
        """Return the cursor after which the last `rows` pairs lie; 0 when there are no more than that."""
        with db.reading(self._engine) as connection:
            return ensemble_pairs.tail(connection, workload, rows)

    def journal(self, target: str) -> StoreJournal:
        """Return the training examples of workloads whose target has this name."""
        return StoreJournal(self._engine, target)

    def counts(self, workload: str) -> StoreCounts:
        """Count the rows of a workload, all numbers of one moment."""
        with db.reading(self._engine) as connection:
            n_predictions, n_truths, n_joined, n_repeated = (
                connection.scalar(select(func.count()).select_from(t).where(t.c.workload == workload)) or 0
                for t in (predictions, truths, joins, repeated_truths)
            )
            conflicting = select(func.count()).where(
                repeated_truths.c.workload == workload, repeated_truths.c.conflicts
            )
            n_conflicting = connection.scalar(conflicting) or 0
        return StoreCounts(n_predictions, n_truths, n_joined, n_truths - n_joined, n_repeated, n_conflicting)

    def routing(self, workload: str) -> RoutingTable | None:
        """Return the routing table; None until a policy was put."""
        with db.reading(self._engine) as connection:
            return routes.read(connection, workload)

    def put_policy(
        self,
        workload: str,
        policy: RoutingPolicy,
        *,
        actor: str = "system",
        expected_revision: int | None = None,
    ) -> int:
        """Replace the policy, add an audit event, and return the new revision.

        Raises:
            Conflict: `expected_revision` is given and is not the present one.
        """
        with db.writing(self._engine) as connection:
            return routes.put_policy(connection, workload, policy, actor, self._clock(), expected_revision)

    def seed_policy(self, workload: str, policy: RoutingPolicy) -> int:
        """Put the policy of the workload's file, as a start-up does, and return the revision after it.

        A policy that was put at run time stands until the file itself changes.
        """
        with db.writing(self._engine) as connection:
            return routes.seed_policy(connection, workload, policy, self._clock())

    def put_arms(self, workload: str, arms: Mapping[str, ArmVersion | None], *, actor: str = "system") -> int:
        """Set the versions of these arms, None removes one, and return the revision; other arms stay.

        The versions until then become `RoutingTable.previous`. Nothing is written, and the revision stays,
        when all arms have these versions already.
        """
        with db.writing(self._engine) as connection:
            return routes.put_arms(connection, workload, arms, actor, self._clock())

    def put_arm(self, workload: str, arm: str, version: ArmVersion, *, actor: str = "system") -> int:
        """Set the version of one arm, as `put_arms` does."""
        return self.put_arms(workload, {arm: version}, actor=actor)

    def put_shadows(
        self, workload: str, shadows: Mapping[str, ArmVersion | None], *, actor: str = "system"
    ) -> int:
        """Set the shadows of these arms, None removes one, and return the revision; other arms stay.

        Nothing is written, and the revision stays, when all arms have these shadows already.
        """
        with db.writing(self._engine) as connection:
            return routes.put_shadows(connection, workload, shadows, actor, self._clock())

    def put_held_back(
        self, workload: str, held_back: Mapping[str, HeldBack], *, actor: str = "system"
    ) -> int:
        """Set which champions do not serve, by arm, in place of those that were; return the revision.

        Nothing is written, and the revision stays, when they are the same.
        """
        with db.writing(self._engine) as connection:
            return routes.put_held_back(connection, workload, held_back, actor, self._clock())

    def record_audit_event(self, workload: str, kind: str, actor: str, detail: Mapping[str, Any]) -> int:
        """Add an administrative action or a decision to the audit log, and return its cursor."""
        with db.writing(self._engine) as connection:
            return routes.record_audit_event(connection, workload, kind, actor, detail, self._clock())

    def erase(self, workload: str, entity: str, *, actor: str = "system") -> Mapping[str, int]:
        """Delete all rows of an entity, and return their number by table; see `erasure.erase`."""
        return erase(self._engine, workload, entity, actor=actor, now=self._clock())

    def audit_events(self, workload: str, after: int = 0, limit: int = 1000) -> list[AuditEvent]:
        """Return the audit events after the cursor, oldest first."""
        query = after_cursor(select(audit_events), audit_events, workload, after, limit)
        with db.reading(self._engine) as connection:
            return [AuditEvent(**row._mapping) for row in connection.execute(query)]


def _prediction(row: Row[Any]) -> PredictionRecord:
    values = {name: row._mapping[name] for name in PredictionRecord._fields}
    return PredictionRecord(**values | {"attempts": tuple(values["attempts"])})
