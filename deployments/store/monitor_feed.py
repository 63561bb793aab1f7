"""The Monitor's side of the store: the journal to read, and what it found to write and to show."""

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
from deployments.store import monitored as watched
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
    """A detector changed its state.

    Attributes:
        at: time of the records that it was seen in.
        workload, kind, subject: which detector: `input`, `quality`, `concept` or `calibration`, and the arm
            that it is about; empty where it is about all.
        state: `drifting` or `ok`, from now on; its row has the old spelling.
        reason: in words.
        evidence: the numbers that it was decided by.
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
    """At which level an arm with this bundle shall make its regions."""

    arm: str
    bundle: str
    level: float


@dataclass(frozen=True)
class MonitoredPage:
    """What the Monitor last saw.

    Attributes:
        at: when.
        page: what `GET /monitor` shows.
        cursors: how far the journal was read for it.
        state: what the Monitor goes on with after a restart, beside what it reads again.
        levels: of the arms that have one; read apart from the rest, by `MonitorFeed.levels`.
    """

    at: datetime
    page: dict[str, Any]
    cursors: Cursors
    state: dict[str, Any]
    levels: tuple[ArmLevel, ...] = ()


class MonitorFeed:
    """A part of `Store`.

    Every method raises StoreUnavailable when the database cannot be reached or stays locked.

    Args:
        engine: of the store.
        clock: UTC time of what is written, where the caller does not tell it.
    """

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._clock = clock

    def predictions(self, workload: str, after: int, limit: int = 1000) -> list[MonitoredPrediction]:
        """Answers written after the cursor, oldest first."""
        with db.reading(self._engine) as connection:
            return watched.read_predictions(connection, workload, after, limit)

    def truths(self, workload: str, after: int, limit: int = 1000) -> list[MonitoredTruth]:
        """Answers with their truths, completed after the cursor, in that order."""
        with db.reading(self._engine) as connection:
            return watched.read_truths(connection, workload, after, limit)

    def repeats(self, workload: str, after: int, limit: int = 1000) -> list[MonitoredRepeat]:
        """Truths after the first of their id, received after the cursor."""
        with db.reading(self._engine) as connection:
            return watched.read_repeats(connection, workload, after, limit)

    def refusals(self, workload: str, after: int, limit: int = 1000) -> list[MonitoredRejections]:
        """Counts of refused requests, written after the cursor."""
        with db.reading(self._engine) as connection:
            return watched.read_rejections(connection, workload, after, limit)

    def add_rejections(self, workload: str, requests: int) -> None:
        """So many requests were refused since the caller said so last."""
        row = {"workload": workload, "at": self._clock(), "requests": requests}
        with db.writing(self._engine) as connection:
            connection.execute(insert(refusals), row)

    def latest_payloads(self, workload: str, since: datetime, limit: int) -> list[str]:
        """The instances of the last answers that were given since then, newest first."""
        with db.reading(self._engine) as connection:
            return watched.latest_payloads(connection, workload, since, limit)

    def cursors_at(self, workload: str, since: datetime) -> Cursors:
        """Where to read on from to see all that was written since then."""
        with db.reading(self._engine) as connection:
            return watched.cursors_at(connection, workload, since)

    def events(self, workload: str, after: int = 0, limit: int = 1000) -> list[DriftEvent]:
        """Changes of state after the cursor, oldest first."""
        query = after_cursor(select(drift_events), drift_events, workload, after, limit)
        with db.reading(self._engine) as connection:
            return [_event(row) for row in connection.execute(query)]

    def last_events(self, workload: str) -> dict[tuple[str, str], DriftEvent]:
        """The last change of each detector, by kind and subject."""
        found: dict[tuple[str, str], DriftEvent] = {}
        after = 0
        while events := self.events(workload, after):
            found |= {(event.kind, event.subject): event for event in events}
            after = events[-1].seq
        return found

    def page(self, workload: str) -> MonitoredPage | None:
        """What was last seen; None before anything was."""
        query = select(monitor_pages).where(monitor_pages.c.workload == workload)
        with db.reading(self._engine) as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        return MonitoredPage(row.at, page_in_new_spelling(row.page), Cursors(**row.cursors), row.state)

    def levels(self, workload: str) -> list[ArmLevel]:
        """The levels that are in force; none before the Monitor has looked."""
        query = select(levels.c.arm, levels.c.bundle, levels.c.level).where(levels.c.workload == workload)
        with db.reading(self._engine) as connection:
            return [ArmLevel(*row) for row in connection.execute(query)]

    def report(self, workload: str) -> tuple[datetime, str] | None:
        """The last HTML report, with its time; None before there was one."""
        query = select(drift_reports).where(drift_reports.c.workload == workload)
        with db.reading(self._engine) as connection:
            row = connection.execute(query).first()
        return None if row is None else (row.at, zlib.decompress(row.html_zlib).decode())

    def write(self, workload: str, seen: MonitoredPage, events: Sequence[DriftEvent] = ()) -> None:
        """Write what was seen, with its levels, and the events of it, together or not at all.

        So a Monitor that is killed tells no event twice, and leaves none out.
        """
        row = {"workload": workload} | asdict(seen) | {"page": page_in_old_spelling(seen.page)}
        stamp = {"workload": workload, "updated_at": seen.at}
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
