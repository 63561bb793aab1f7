"""PostgreSQL goes away and comes back: nothing acknowledged is lost, and nothing is counted twice."""

from __future__ import annotations

import asyncio
import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import make_url, text

from deployments.store import JournalWriter, Store, StoreUnavailable, Truth
from deployments.store.sql import engine as db
from tests.support.conditions import wait_for
from tests.support.databases import PostgresDatabases, one_of
from tests.support.postgres import Cluster
from tests.support.records import row

LAST = 400


@pytest.fixture
def store(postgres_databases: PostgresDatabases) -> Iterator[Store]:
    with one_of(postgres_databases) as url, closing(Store(url)) as opened:
        yield opened


@pytest.fixture
def stoppable(cluster: Cluster) -> Iterator[Cluster]:
    """It runs again after the test, whatever becomes of the test."""
    yield cluster
    cluster.start()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
def test_a_store_that_was_away_is_used_again(store: Store, stoppable: Cluster, how: signal.Signals) -> None:
    store.write_predictions([row(1)])
    stoppable.stop(how)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="the store cannot be used now"):
            store.write_truths("apogee", [Truth("1", {"apogee_m": 1.0})])
        with pytest.raises(StoreUnavailable, match="the store cannot be used now"):
            store.routing("apogee")
    stoppable.start()
    assert store.write_truths("apogee", [Truth("1", {"apogee_m": 1.0})]).accepted == 1
    assert [pair.prediction.id for pair in store.joined("apogee")] == ["1"]


def test_a_restart_between_two_calls_is_not_noticed(store: Store, stoppable: Cluster) -> None:
    store.write_predictions([row(1)])
    stoppable.stop()
    stoppable.start()
    store.write_predictions([row(2)])
    assert [one.id for _, one in store.predictions("apogee")] == ["1", "2"]


def test_what_was_acknowledged_before_a_crash_is_there_after_it(store: Store, stoppable: Cluster) -> None:
    store.write_predictions([row(n) for n in range(LAST)])
    acknowledged: list[int] = []
    some = threading.Event()

    def send() -> None:
        for number in range(LAST):
            try:
                store.write_truths("apogee", [Truth(str(number), {"apogee_m": 1.0})])
            except StoreUnavailable:
                return
            acknowledged.append(number)
            if number == 20:
                some.set()

    sender = threading.Thread(target=send)
    sender.start()
    assert some.wait(30)
    stoppable.stop(signal.SIGQUIT)
    sender.join(30)
    stoppable.start()
    assert 20 < len(acknowledged) < LAST
    kept = {int(pair.prediction.id) for pair in store.joined("apogee")}
    assert kept >= set(acknowledged)
    # whoever got no answer sends it again; it may have been written all the same
    store.write_truths("apogee", [Truth(str(n), {"apogee_m": 1.0}) for n in range(len(acknowledged), LAST)])
    counts = store.counts("apogee")
    assert (counts.joined, counts.conflicting) == (LAST, 0)


async def test_the_journal_waits_for_a_store_that_is_away(store: Store, stoppable: Cluster) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    journal = JournalWriter(store.write_predictions, backoff_s=0.1, sleep=pause)
    journal.add([row(1)])
    await journal.flush()
    await asyncio.to_thread(stoppable.stop)
    journal.add([row(2), row(3)])
    flushing = asyncio.create_task(journal.flush())
    await wait_for(lambda: 0.1 in pauses)  # it has failed once
    assert journal.waiting == 2
    await asyncio.to_thread(stoppable.start)
    await flushing
    await journal.close()
    assert (journal.written, journal.dropped) == (3, 0)
    assert [one.id for _, one in store.predictions("apogee")] == ["1", "2", "3"]


def test_a_connection_that_is_cut_in_a_transaction_takes_its_rows_along(store: Store) -> None:
    store.write_predictions([row(1)])

    def write_and_be_cut() -> None:
        with db.writing(store.engine) as connection:
            connection.execute(text("DELETE FROM predictions"))
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(StoreUnavailable, match="terminating connection"):
        write_and_be_cut()
    assert [one.id for _, one in store.predictions("apogee")] == ["1"]


def test_a_database_that_takes_no_writes_is_away_not_wrong(store: Store, cluster: Cluster) -> None:
    name = store.engine.url.database
    cluster.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    store.close()
    with pytest.raises(StoreUnavailable, match="read-only transaction"):
        store.write_predictions([row(1)])
    assert store.predictions("apogee") == []
    cluster.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = off")
    store.close()
    store.write_predictions([row(1)])


def test_a_database_that_is_not_there_is_named(cluster: Cluster) -> None:
    with (
        closing(Store(cluster.url("nowhere"))) as store,
        pytest.raises(StoreUnavailable, match='database "nowhere" does not exist'),
    ):
        store.create_tables()


def test_the_short_form_of_the_url_is_served_by_psycopg(store: Store) -> None:
    url = store.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with closing(Store(url)) as other:
        assert other.engine.url.drivername == "postgresql+psycopg"
        assert other.routing("apogee") is None


def test_the_url_has_the_last_word_on_the_connection() -> None:
    url = make_url("postgresql://ann@host/journal?connect_timeout=1")
    assert "connect_timeout" not in db.connect_args(url)
    assert db.connect_args(url)["keepalives_idle"] == 10


def test_other_databases_are_refused_without_telling_the_password() -> None:
    with pytest.raises(ValueError, match=r"got mysql://ann:\*\*\*@host/journal, expected sqlite:///PATH"):
        db.open_engine("mysql://ann:secret@host/journal")
    with pytest.raises(ValueError, match="the URL is none, expected sqlite:///PATH"):
        db.open_engine("store.db")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:s3@cr3t@host/journal",
        "postgresql://ann:s3@cr3t:w0rd@host/journal",
        "postgresql://ann:s3@cr3t/w0rd@host/journal",
        "mysql://ann:s3@cr3t@host/journal?password=w0rd",
        "mysql://host/journal?password=w0rd",
    ],
)
def test_an_url_that_does_not_fit_shows_no_part_of_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="store: ") as caught:
        Store(url)
    shown = "".join(traceback.format_exception_only(caught.value))
    assert not any(part in shown for part in ("s3", "cr3t", "w0rd")), shown
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("url", ["postgresql://ann:one%40two@host/journal", "sqlite:////tmp/a:b@c/store.db"])
def test_an_at_that_is_no_end_of_a_password_is_fine(url: str) -> None:
    Store(url).close()
