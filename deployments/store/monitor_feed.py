"""The Monitor's part of the store: the journal to read, and its results to write and to show."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Row, delete, insert, select

from deployments.domain.drift_state import (
    SettledState,
    new_spelling,
    old_spelling,
    page_in_new_spelling,
    page_in_old_spelling,
)
from deployments.store import monitored
from deployments.store.monitored import (
    Cursors,
    MonitoredPrediction,
    MonitoredRejections,
    MonitoredRepeat,
    MonitoredTruth,
)
from deployments.store.sql import engine as db
from deployments.store.sql.cursor import after_cursor
from deployments.store.sql.schema import drift_events, drift_reports, levels, monitor_pages, refusals


@dataclass(frozen=True)
class DriftEvent:
    """A change of state of a detector.

    Attributes:
        at: time of the evaluation.
        workload, kind, subject: which detector: `input`, `quality`, `concept` or `calibration`, and the arm
            that it is about; empty where it is about all.
        state: `drifting` or `ok`, from now on; its row has the old spelling.
        reason: in words.
        evidence: the numbers behind it.
        seq: the cursor to read on from; 0 of one that is not written yet.
    """

    at: datetime
    workload: str
    kind: str
    subject: str
    state: SettledState
    reason: str
    evidence: dict[str, Any]
    seq: int = 0


@dataclass(frozen=True)
class ArmLevel:
    """The level at which an arm with this bundle is to make its regions."""

    arm: str
    bundle: str
    level: float


@dataclass(frozen=True)
class MonitoredPage:
    """The results of one evaluation of the Monitor.

    Attributes:
        at: when.
        page: the one of `GET /monitor`.
        cursors: how far the journal was read for it.
        state: the one that a restarted Monitor resumes from, beside the rows that it reads again.
        levels: of the arms that have one; read apart from the rest, by `MonitorFeed.levels`.
    """

    at: datetime
    page: dict[str, Any]
    cursors: Cursors
    state: dict[str, Any]
    levels: tuple[ArmLevel, ...] = ()


class MonitorFeed:
    """The journal and the results of the Monitor, as a part of `Store`.

    Every method raises StoreUnavailable when the database cannot be reached or stays locked.

    Args:
        engine: of the store.
        clock: UTC time of rows that bring none.
    """

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._clock = clock

    def predictions(self, workload: str, after: int, limit: int = 1000) -> list[MonitoredPrediction]:
        """Return the answers written after the cursor, oldest first."""
        with db.reading(self._engine) as connection:
            return monitored.read_predictions(connection, workload, after, limit)

    def truths(self, workload: str, after: int, limit: int = 1000) -> list[MonitoredTruth]:
        """Return the answers with their truths, completed after the cursor, in that order."""
        with db.reading(self._engine) as connection:
            return monitored.read_truths(connection, workload, after, limit)

    def repeats(self, workload: str, after: int, limit: int = 1000) -> list[MonitoredRepeat]:
        """Return the truths after the first of their id, received after the cursor."""
        with db.reading(self._engine) as connection:
            return monitored.read_repeats(connection, workload, after, limit)

    def rejections(self, workload: str, after: int, limit: int = 1000) -> list[MonitoredRejections]:
        """Return the counts of rejected requests, written after the cursor."""
        with db.reading(self._engine) as connection:
            return monitored.read_rejections(connection, workload, after, limit)

    def add_rejections(self, workload: str, requests: int) -> None:
        """Add the number of requests that were rejected since the caller's last row."""
        row = {"workload": workload, "at": self._clock(), "requests": requests}
        with db.writing(self._engine) as connection:
            connection.execute(insert(refusals), row)

    def latest_payloads(self, workload: str, since: datetime, limit: int) -> list[str]:
        """Return the instances of the last answers since then, newest first."""
        with db.reading(self._engine) as connection:
            return monitored.latest_payloads(connection, workload, since, limit)

    def cursors_at(self, workload: str, since: datetime) -> Cursors:
        """Return the cursors from which all rows since then are read."""
        with db.reading(self._engine) as connection:
            return monitored.cursors_at(connection, workload, since)

    def events(self, workload: str, after: int = 0, limit: int = 1000) -> list[DriftEvent]:
        """Return the changes of state after the cursor, oldest first."""
        query = after_cursor(select(drift_events), drift_events, workload, after, limit)
        with db.reading(self._engine) as connection:
            return [_event(row) for row in connection.execute(query)]

    def last_events(self, workload: str) -> dict[tuple[str, str], DriftEvent]:
        """Return the last change of each detector, by kind and subject."""
        found: dict[tuple[str, str], DriftEvent] = {}
        after = 0
        while events := self.events(workload, after):
            found |= {(event.kind, event.subject): event for event in events}
            after = events[-1].seq
        return found

    def page(self, workload: str) -> MonitoredPage | None:
        """Return the results of the last evaluation; None before the first."""
        query = select(monitor_pages).where(monitor_pages.c.workload == workload)
        with db.reading(self._engine) as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        return MonitoredPage(row.at, page_in_new_spelling(row.page), Cursors(**row.cursors), row.state)

    def levels(self, workload: str) -> list[ArmLevel]:
        """Return the levels that are in force; an empty list before the first evaluation."""
        query = select(levels.c.arm, levels.c.bundle, levels.c.level).where(levels.c.workload == workload)
        with db.reading(self._engine) as connection:
            return [ArmLevel(*row) for row in connection.execute(query)]

    def report(self, workload: str) -> tuple[datetime, str] | None:
        """Return the last HTML report, with its time; None before there is one."""
        query = select(drift_reports).where(drift_reports.c.workload == workload)
        with db.reading(self._engine) as connection:
            row = connection.execute(query).first()
        return None if row is None else (row.at, zlib.decompress(row.html_zlib).decode())

    def write(self, workload: str, results: MonitoredPage, events: Sequence[DriftEvent] = ()) -> None:
        """Write the results of an evaluation, with its levels and events, together or not at all.

        So a Monitor that is killed writes no event twice, and leaves none out.
        """
        row = {"workload": workload} | asdict(results) | {"page": page_in_old_spelling(results.page)}
        stamp = {"workload": workload, "updated_at": results.at}
        new_levels = [stamp | level for level in row.pop("levels")]
        new = [_event_row(event) for event in events]
        with db.writing(self._engine) as connection:
            if new:
                connection.execute(insert(drift_events), new)
            connection.execute(delete(monitor_pages).where(monitor_pages.c.workload == workload))
            connection.execute(insert(monitor_pages), row)
            connection.execute(delete(levels).where(levels.c.workload == workload))
            if new_levels:
                connection.execute(insert(levels), new_levels)

    def write_report(self, workload: str, at: datetime, html: str) -> None:
        """Replace the HTML report."""
        row = {"workload": workload, "at": at, "html_zlib": zlib.compress(html.encode())}
        with db.writing(self._engine) as connection:
            connection.execute(delete(drift_reports).where(drift_reports.c.workload == workload))
            connection.execute(insert(drift_reports), row)


def _event(row: Row[Any]) -> DriftEvent:
    values = dict(row._mapping)
    return DriftEvent(**values | {"state": new_spelling(values["state"])})


def _event_row(event: DriftEvent) -> dict[str, Any]:
    row = asdict(event) | {"state": old_spelling(event.state)}
    del row["seq"]
    return row
