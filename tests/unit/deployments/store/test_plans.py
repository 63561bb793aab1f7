"""No query of the store reads more of the journal than it gives back: what the database says of its plan."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from sqlalchemy import event, insert, text

from deployments.store import Store, Truth
from deployments.store.monitor_feed import DriftEvent, MonitoredPage
from deployments.store.monitored import Cursors
from deployments.store.sql.engine import reading, writing
from deployments.store.sql.schema import refusals
from tests.support.databases import Databases, one_of
from tests.support.records import row, shadow_of
from training.runtime.journal_query import JournalQuery

ROWS = 1500
PAIRS = ROWS // 2
OTHERS = ("calories", "reentry", "weather")
JOURNAL = ("predictions", "truths", "repeated_truths", "joins", "shadow_answers", "refusals")
SINCE = row(0).created_at
QUERY = JournalQuery(workload="apogee", schema_version="1.0", after=PAIRS // 2, until=10 * ROWS)
OF_A_SHADOW = ("apogee", "mlp", "sha256:11", "sha256:00", row(0).created_at)


def truths(*numbers: int) -> list[Truth]:
    return [Truth(str(number), {"apogee_m": 1.0}) for number in numbers]


CALLS: dict[str, Callable[[Store], object]] = {
    "predictions written": lambda store: store.write_predictions([row(n) for n in range(ROWS, ROWS + 8)]),
    "truths written": lambda store: store.write_truths("apogee", truths(7, ROWS, ROWS + 100)),
    "truths of several calls": lambda store: store.write_truth_calls("apogee", [truths(8), truths(9, 10)]),
    "predictions by cursor": lambda store: store.predictions("apogee", after=ROWS // 2, limit=10),
    "pairs by cursor": lambda store: store.joined("apogee", after=PAIRS // 2, limit=10),
    "pairs to be judged": lambda store: store.labelled("apogee", after=PAIRS // 2, limit=10),
    "the last pairs": lambda store: store.labelled_tail("apogee", 100),
    "shadows written": lambda store: store.shadows.write([shadow_of(row(n)) for n in range(ROWS, ROWS + 9)]),
    "pairs of a shadow": lambda store: store.shadows.pairs(*OF_A_SHADOW, limit=10),
    "number of these pairs": lambda store: store.shadows.count(*OF_A_SHADOW, limit=10),
    "repeated truths": lambda store: store.monitor_feed.repeats("apogee", after=1, limit=10),
    "answers for the monitor": lambda store: store.monitor_feed.predictions(
        "apogee", after=ROWS // 2, limit=10
    ),
    "truths for the monitor": lambda store: store.monitor_feed.truths("apogee", after=PAIRS // 2, limit=10),
    "rejections for the monitor": lambda store: store.monitor_feed.rejections("apogee", after=5, limit=10),
    "the latest instances": lambda store: store.monitor_feed.latest_payloads("apogee", SINCE, limit=10),
    "cursors of a time": lambda store: store.monitor_feed.cursors_at("apogee", SINCE),
    "drift events": lambda store: store.monitor_feed.events("apogee", after=5, limit=10),
    "the query of the newest pairs": lambda store: store.journal("apogee_m").newest("apogee", "1.0", 100),
    "the number of pairs of a query": lambda store: store.journal("apogee_m").count(QUERY, 10),
    "pairs of a query": lambda store: store.journal("apogee_m").examples(QUERY, PAIRS // 2, 10),
    "the first pair": lambda store: store.journal("apogee_m").first_at("apogee"),
    "numbers of a workload": lambda store: store.snapshots.read("apogee"),
    "acts": lambda store: store.audit_events("apogee", limit=10),
    "routing": lambda store: store.routing("apogee"),
}


# PostgreSQL plans by statistics, which its autovacuum keeps; without any it may do what it will
KINDS = {
    "sqlite without statistics": "sqlite_databases",
    "sqlite with statistics": "sqlite_databases",
    "postgresql with statistics": "postgres_databases",
}


@pytest.fixture(scope="module", params=KINDS)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    databases: Databases = request.getfixturevalue(KINDS[request.param])
    with one_of(databases) as url, closing(Store(url)) as store:
        for workload in ("apogee", *OTHERS):
            rows = [row(n)._replace(workload=workload) for n in range(ROWS)]
            store.write_predictions(rows)
            store.write_truths(workload, truths(*range(0, ROWS, 2)))
            store.write_truths(workload, truths(*range(0, ROWS, 4)))
            store.shadows.write([shadow_of(one) for one in rows[::3]])
            for number in range(100):
                store.record_audit_event(workload, "test", "test", {"number": number})
            rejected = [{"workload": workload, "at": SINCE, "requests": 1} for _ in range(ROWS // 4)]
            with writing(store.engine) as connection:
                connection.execute(insert(refusals), rejected)
            events = [
                DriftEvent(SINCE, workload, "input", "", "drifting", "it moved", {}) for _ in range(100)
            ]
            store.monitor_feed.write(workload, MonitoredPage(SINCE, {}, Cursors(), {}), events)
        if request.param.endswith("with statistics"):
            with writing(store.engine) as connection:
                connection.execute(text("ANALYZE"))
        yield store


@contextmanager
def statements(store: Store) -> Iterator[list[tuple[str, Any]]]:
    """What the store executes meanwhile, with its parameters."""
    found: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        found.append((statement, parameters[0] if many else parameters))

    event.listen(store.engine, "before_cursor_execute", note)
    yield found
    event.remove(store.engine, "before_cursor_execute", note)


def walks_of(store: Store, statement: str, parameters: Any) -> list[str]:
    """Steps of the plan that go through a whole table of the journal, or sort rows of it.

    What reads other tables alone, such as counts of drift events by state, may sort: they stay small.
    """
    if not any(re.search(rf"\b{table}\b", statement) for table in JOURNAL):
        return []
    with reading(store.engine) as connection:
        if connection.dialect.name == "sqlite":
            steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            return [step.detail for step in steps if _walks_in_sqlite(step.detail)]
        (plan,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
        return [str(node) for node, parent in _nodes(plan["Plan"]) if _walks_in_postgresql(node, parent)]


def _walks_in_sqlite(step: str) -> bool:
    return (step.startswith("SCAN") and step.split()[1] in JOURNAL) or "TEMP B-TREE" in step


def _walks_in_postgresql(node: dict[str, Any], parent: str) -> bool:
    if node.get("Relation Name") not in JOURNAL or node["Node Type"] == "ModifyTable":
        return bool(node["Node Type"] == "Sort")
    if parent == "Limit" and node.get("Index Name", "").endswith("_by_cursor"):
        return False
    # by the workload alone, which may be the only one, is as good as not at all
    return set(re.findall(r"(\w+)\)?(?:::text)? [=<>]", node.get("Index Cond", ""))) <= {"workload"}


def _nodes(plan: dict[str, Any], parent: str = "") -> Iterator[tuple[dict[str, Any], str]]:
    """Each with what stands above it; a loop under a limit ends with it, and so does what drives the loop."""
    yield plan, parent
    for part in plan.get("Plans", ()):
        ends_early = plan["Node Type"] == "Nested Loop" and part["Parent Relationship"] == "Outer"
        yield from _nodes(part, parent if ends_early else plan["Node Type"])


@pytest.mark.parametrize("name", CALLS)
def test_no_call_walks_through_the_journal(store: Store, name: str) -> None:
    with statements(store) as made:
        CALLS[name](store)
    queries = [one for one in made if one[0].startswith(("SELECT", "INSERT", "UPDATE", "DELETE"))]
    assert queries
    for statement, parameters in queries:
        if "pg_advisory_xact_lock" not in statement:
            assert walks_of(store, statement, parameters) == [], statement


def test_what_walks_through_the_journal_is_noticed(store: Store) -> None:
    with statements(store) as made:
        store.counts("apogee")
        with reading(store.engine) as connection:
            connection.execute(text("SELECT id FROM predictions WHERE arm = 'mlp'"))
    assert len(walks_of(store, *made[-1])) == 1
