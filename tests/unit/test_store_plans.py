"""No query of the store reads more of the journal than it gives back: what SQLite says of its plan."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from records import row, shadow_of
from sqlalchemy import event, text

from deployments.store import Store, Truth
from deployments.store.engine import reading, writing

ROWS = 3000
JOURNAL = ("predictions", "truths", "repeated_truths", "joins", "shadow_answers")
OF_A_SHADOW = ("apogee", "mlp", "sha256:11", "sha256:00", row(0).created_at)


def truths(*numbers: int) -> list[Truth]:
    return [Truth(str(number), {"apogee_m": 1.0}) for number in numbers]


CALLS: dict[str, Callable[[Store], object]] = {
    "predictions written": lambda store: store.write_predictions([row(n) for n in range(ROWS, ROWS + 9)]),
    "truths written": lambda store: store.write_truths("apogee", truths(7, ROWS, ROWS + 100)),
    "truths of several calls": lambda store: store.write_truth_calls("apogee", [truths(8), truths(9, 10)]),
    "predictions by cursor": lambda store: store.predictions("apogee", after=ROWS // 2, limit=10),
    "pairs by cursor": lambda store: store.joined("apogee", after=ROWS // 2, limit=10),
    "pairs to be judged": lambda store: store.judged("apogee", after=ROWS // 2, limit=10),
    "the last pairs": lambda store: store.judged_tail("apogee", 100),
    "shadows written": lambda store: store.shadows.write([shadow_of(row(n)) for n in range(ROWS, ROWS + 9)]),
    "pairs of a shadow": lambda store: store.shadows.pairs(*OF_A_SHADOW, limit=10),
    "number of these pairs": lambda store: store.shadows.count(*OF_A_SHADOW, limit=10),
    "acts": lambda store: store.acts("apogee", limit=10),
    "routing": lambda store: store.routing("apogee"),
}


@pytest.fixture(scope="module", params=["without statistics", "with statistics"])
def store(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('store')}/s.db")
    store.create_tables()
    store.write_predictions([row(n) for n in range(ROWS)])
    store.write_truths("apogee", truths(*range(0, ROWS, 2)))
    store.shadows.write([shadow_of(row(n)) for n in range(0, ROWS, 3)])
    if request.param == "with statistics":
        with writing(store._engine) as connection:
            connection.execute(text("ANALYZE"))
    yield store
    store.close()


@contextmanager
def statements(store: Store) -> Iterator[list[tuple[str, Any]]]:
    """What the store executes meanwhile, with its parameters."""
    found: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        found.append((statement, parameters[0] if many else parameters))

    event.listen(store._engine, "before_cursor_execute", note)
    yield found
    event.remove(store._engine, "before_cursor_execute", note)


def plan_of(store: Store, statement: str, parameters: Any) -> list[str]:
    with reading(store._engine) as connection:
        found = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return [str(step.detail) for step in found]


@pytest.mark.parametrize("name", CALLS)
def test_no_call_walks_through_the_journal(store: Store, name: str) -> None:
    with statements(store) as made:
        CALLS[name](store)
    queries = [one for one in made if one[0].startswith(("SELECT", "INSERT", "UPDATE", "DELETE"))]
    assert queries
    for statement, parameters in queries:
        for step in plan_of(store, statement, parameters):
            assert not (step.startswith("SCAN") and step.split()[1] in JOURNAL), f"{step}: {statement}"
            assert "TEMP B-TREE" not in step, f"{step}: {statement}"


def test_what_walks_through_the_journal_is_noticed(store: Store) -> None:
    with statements(store) as made:
        store.counts("apogee")
        with reading(store._engine) as connection:
            connection.execute(text("SELECT id FROM predictions WHERE arm = 'mlp'"))
    assert plan_of(store, *made[-1]) == ["SCAN predictions"]
