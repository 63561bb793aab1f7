"""A snapshot of a workload in the store, in a few numbers: for metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Table, func, select

from deployments.domain.drift_state import new_spelling, page_in_new_spelling
from deployments.domain.routing import RoutingTable
from deployments.store import routes
from deployments.store.promotions import promotions
from deployments.store.retrainings import retrainings
from deployments.store.sql.engine import reading
from deployments.store.sql.schema import drift_events, monitor_pages


@dataclass(frozen=True)
class WorkloadSnapshot:
    """The state of a workload at one moment.

    Attributes:
        workload: its name.
        table: the routing table; None until there is one.
        evaluated_at: time of the Monitor's last evaluation; None before the first.
        page: its page, as of `GET /monitor`.
        drift_events: changes of state, by kind of the detector and new state.
        retrainings: how many there are, by state.
        retrained_at: end of the last one that was done.
        promotions: how many there are, by arm and state.
    """

    workload: str
    table: RoutingTable | None
    evaluated_at: datetime | None
    page: Mapping[str, Any] | None
    drift_events: Mapping[tuple[str, str], int]
    retrainings: Mapping[str, int]
    retrained_at: datetime | None
    promotions: Mapping[tuple[str, str], int]


class MetricsSnapshots:
    """The snapshots of workloads, as a part of `Store`.

    Args:
        engine: of the store.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self, workload: str) -> WorkloadSnapshot:
        """Read what the store holds of one workload.

        Raises:
            StoreUnavailable: the database cannot be reached or stays locked.
        """
        last_page = select(monitor_pages.c.at, monitor_pages.c.page).where(
            monitor_pages.c.workload == workload
        )
        events = (
            select(drift_events.c.kind, drift_events.c.state, func.count())
            .where(drift_events.c.workload == workload)
            .group_by(drift_events.c.kind, drift_events.c.state)
        )
        with reading(self._engine) as connection:
            page = connection.execute(last_page).first()
            return WorkloadSnapshot(
                workload=workload,
                table=routes.read(connection, workload),
                evaluated_at=page.at if page else None,
                page=page_in_new_spelling(page.page) if page else None,
                drift_events={
                    (kind, new_spelling(state)): n for kind, state, n in connection.execute(events)
                },
                retrainings=dict(_by_state(connection, retrainings, workload)),
                retrained_at=_retrained_at(connection, workload),
                promotions={
                    (arm, state): n for arm, state, n in _by_state(connection, promotions, workload, "arm")
                },
            )


def _by_state(connection: Connection, table: Table, workload: str, *columns: str) -> list[tuple[Any, ...]]:
    """Count the rows of each state, and of each value of these columns before it."""
    # by a subquery: PostgreSQL does not see that two expressions with parameters are the same
    rows = (
        select(*(table.c[name] for name in columns), table.c.content["state"].as_string().label("state"))
        .where(table.c.workload == workload)
        .subquery()
    )
    found = connection.execute(select(*rows.c, func.count()).group_by(*rows.c))
    return [tuple(row) for row in found]


def _retrained_at(connection: Connection, workload: str) -> datetime | None:
    content = retrainings.c.content
    query = (
        select(content["ended_at"].as_string())
        .where(retrainings.c.workload == workload, content["state"].as_string() == "done")
        .order_by(retrainings.c.created_at.desc(), retrainings.c.id.desc())
        .limit(1)
    )
    ended_at = connection.scalar(query)
    return datetime.fromisoformat(ended_at) if ended_at else None
