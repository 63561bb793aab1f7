"""Writers and readers of one store at the same time, and what becomes of those that wait too long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from sqlalchemy import Connection, func, select, text

from deployments.store import Store, StoreUnavailable, Truth
from deployments.store.prediction_insert import insert_predictions
from deployments.store.sql import engine as db
from deployments.store.sql.schema import predictions
from tests.support.databases import PostgresDatabases, one_of
from tests.support.records import row
from tests.support.system import wait_until

WRITERS, BATCHES, ROWS = 4, 12, 5


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with closing(Store(store_url)) as opened:
        yield opened


@pytest.fixture
def on_postgres(postgres_databases: PostgresDatabases) -> Iterator[Store]:
    with one_of(postgres_databases) as url, closing(Store(url)) as opened:
        yield opened


def count(connection: Connection) -> int:
    return connection.scalar(select(func.count()).select_from(predictions)) or 0


def read_on(read: Callable[[int], list[int]], stop: threading.Event) -> list[int]:
    """Cursors as a reader meets them who goes on from the last one, until after the stop."""
    seen: list[int] = []
    while True:
        is_last = stop.is_set()
        seen += read(seen[-1] if seen else 0)
        if is_last:
            return seen


def test_a_reader_by_cursor_misses_nothing_that_others_write_meanwhile(store: Store) -> None:
    def write(writer: int) -> None:
        for batch in range(BATCHES):
            first = (writer * BATCHES + batch) * ROWS
            ids = range(first, first + ROWS)
            store.write_predictions([row(n) for n in ids])
            store.write_truths("apogee", [Truth(str(n), {"apogee_m": 1.0}) for n in ids])

    readers = (
        lambda after: [seq for seq, _ in store.predictions("apogee", after)],
        lambda after: [pair.seq for pair in store.joined("apogee", after)],
    )
    stop = threading.Event()
    with ThreadPoolExecutor(WRITERS + len(readers)) as pool:
        reading = [pool.submit(read_on, reader, stop) for reader in readers]
        try:
            list(pool.map(write, range(WRITERS)))
        finally:
            stop.set()
    for one in reading:
        seen = one.result()
        assert seen == sorted(set(seen))
        assert len(seen) == WRITERS * BATCHES * ROWS


def test_a_reader_sees_one_moment(store: Store) -> None:
    store.write_predictions([row(1)])
    with db.reading(store.engine) as connection:
        assert count(connection) == 1
        store.write_predictions([row(2)])
        assert count(connection) == 1
    with db.reading(store.engine) as connection:
        assert count(connection) == 2


def test_a_writer_sees_what_was_written_while_it_waited(on_postgres: Store) -> None:
    def second() -> int:
        with db.writing(on_postgres.engine) as connection:
            return count(connection)

    waits = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    with ThreadPoolExecutor(1) as pool:
        with db.writing(on_postgres.engine) as connection:
            waiting = pool.submit(second)
            wait_until(lambda: connection.scalar(waits) == 1, 10, "the second waits for its turn")
            insert_predictions(connection, [row(1)])
        assert waiting.result(10) == 1


def test_a_writer_that_waits_too_long_gets_an_error(
    on_postgres: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(db.POSTGRESQL_WRITER, "lock_timeout", 50)
    with (
        db.writing(on_postgres.engine),
        pytest.raises(StoreUnavailable, match=r"cannot be used now: .*lock timeout"),
    ):
        on_postgres.write_predictions([row(1)])
    on_postgres.write_predictions([row(2)])
    assert [one.id for _, one in on_postgres.predictions("apogee")] == ["2"]


def test_a_writer_that_falls_silent_holds_nobody_up(
    on_postgres: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(db.POSTGRESQL_WRITER, "idle_in_transaction_session_timeout", 50)

    def fall_silent() -> None:
        with db.writing(on_postgres.engine) as connection:
            insert_predictions(connection, [row(1)])
            on_postgres.write_predictions([row(2)])  # waits until the first is cut off
            connection.execute(text("SELECT 1"))

    with pytest.raises(StoreUnavailable, match="idle-in-transaction timeout"):
        fall_silent()
    assert [one.id for _, one in on_postgres.predictions("apogee")] == ["2"]
