"""Spellings at the edge of the store: rows keep those of before 0.2, and callers see today's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, insert, select

from deployments.store import Store
from deployments.store.monitor_feed import DriftEvent, MonitoredPage
from deployments.store.monitored import Cursors
from deployments.store.sql.schema import drift_events, monitor_pages

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def page_of(*states: str) -> dict[str, Any]:
    return {"workload": "w", "drift": [{"kind": "input", "state": state} for state in states]}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = Store(url)
    store.create_tables()
    yield store
    store.close()


def rows(url: str, table: Any, column: str) -> list[Any]:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = list(connection.scalars(select(table.c[column])))
    engine.dispose()
    return found


def test_rows_keep_the_spelling_that_older_versions_read(store: Store, url: str) -> None:
    events = [
        DriftEvent(NOW, "w", "input", "", "drifting", "moved", {"score": 2.0}),
        DriftEvent(NOW, "w", "input", "", "ok", "moved back", {"score": 0.1}),
    ]
    page = page_of("drifting", "ok", "insufficient_data")
    store.monitor_feed.write("w", MonitoredPage(NOW, page, Cursors(), {}), events)
    assert rows(url, drift_events, "state") == ["hot", "cool"]
    assert rows(url, monitor_pages, "page") == [page_of("hot", "cool", "warming")]
    found = store.monitor_feed.events("w")
    assert [(event.state, event.reason, event.seq) for event in found] == [
        ("drifting", "moved", 1),
        ("ok", "moved back", 2),
    ]
    stored = store.monitor_feed.page("w")
    assert stored is not None
    assert stored.page == page
    snapshot = store.snapshots.read("w")
    assert snapshot.page == page
    assert snapshot.drift_events == {("input", "drifting"): 1, ("input", "ok"): 1}


@pytest.mark.parametrize("states", [("hot", "cool", "warming"), ("drifting", "ok", "insufficient_data")])
def test_a_page_of_another_version_is_read(store: Store, url: str, states: tuple[str, ...]) -> None:
    engine = create_engine(url)
    row = {"workload": "w", "at": NOW, "page": page_of(*states), "cursors": {}, "state": {}}
    with engine.begin() as connection:
        connection.execute(insert(monitor_pages), row)
    engine.dispose()
    stored = store.monitor_feed.page("w")
    assert stored is not None
    assert stored.page == page_of("drifting", "ok", "insufficient_data")
