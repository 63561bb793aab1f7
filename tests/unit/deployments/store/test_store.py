import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, make_url, text, update
from sqlalchemy.exc import DataError
from sqlalchemy.schema import CreateTable

from deployments.domain.errors import Conflict
from deployments.domain.routing import ArmVersion, HeldBack, RoutingPolicy, RoutingTable
from deployments.store import FeedbackCounts, PredictionRecord, Store, StoreCounts, StoreUnavailable, Truth
from deployments.store.prediction_insert import _insert
from deployments.store.sql.engine import reading, writing
from deployments.store.sql.schema import metadata, predictions, routing
from tests.support.clocks import Clock
from tests.support.databases import Databases, PostgresDatabases, clear, one_of
from tests.support.examples import examples
from tests.support.records import row
from tests.support.writers import write_everything

# its driver is needed for neither of the tests
POSTGRESQL = make_url("postgresql+psycopg2://").get_dialect()()

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY = RoutingPolicy(weights={"mlp": 0.8, "linear": 0.2}, fallback=("mlp", "linear"))


def version(number: int) -> ArmVersion:
    return ArmVersion(model_version=str(number), bundle=f"sha256:{number}", source=f"models/{number}")


def truth(number: int, value: float = 1.0, observed_at: datetime | None = None) -> Truth:
    return Truth(str(number), {"apogee_m": value}, observed_at)


def test_a_prediction_comes_back_as_it_was(store: Store) -> None:
    at_level = row(2)._replace(level=0.999984)
    store.write_predictions([row(1), at_level])
    assert store.predictions("apogee") == [(1, row(1)), (2, at_level)]
    assert store.predictions("weather") == []
    store.write_truths("apogee", [truth(1), truth(2)])
    assert [one.level for one in store.monitor_feed.truths("apogee", 0)] == [None, 0.999984]


def test_writing_a_prediction_again_changes_nothing(store: Store) -> None:
    store.write_predictions([row(1), row(2)])
    store.write_predictions([row(2), row(3), row(3)])
    assert [one.id for _, one in store.predictions("apogee")] == ["1", "2", "3"]


def test_reading_by_cursor(store: Store) -> None:
    store.write_predictions([row(n) for n in range(5)])
    first = store.predictions("apogee", limit=2)
    rest = store.predictions("apogee", after=first[-1][0])
    assert [one.id for _, one in first + rest] == ["0", "1", "2", "3", "4"]


def test_truth_joins_its_prediction(store: Store, clock: Clock) -> None:
    store.write_predictions([row(1)])
    observed = NOW - timedelta(minutes=2)
    assert store.write_truths("apogee", [truth(1, 3120.4, observed)]) == FeedbackCounts(1, 0, 0)
    (joined,) = store.joined("apogee")
    assert (joined.seq, joined.prediction, joined.truth) == (1, row(1), {"apogee_m": 3120.4})
    assert (joined.observed_at, joined.received_at) == (observed, NOW)


def test_truth_that_comes_first_waits(store: Store) -> None:
    assert store.write_truths("apogee", [truth(1)]) == FeedbackCounts(0, 0, 1)
    assert store.joined("apogee") == []
    assert store.counts("apogee") == StoreCounts(0, 1, 0, 1, 0, 0)
    store.write_predictions([row(1)])
    assert [one.prediction.id for one in store.joined("apogee")] == ["1"]
    assert store.counts("apogee") == StoreCounts(1, 1, 1, 0, 0, 0)


def test_a_pair_completed_late_comes_after_the_cursor(store: Store) -> None:
    store.write_predictions([row(1), row(2)])
    store.write_truths("apogee", [truth(2)])
    cursor = store.joined("apogee")[-1].seq
    store.write_truths("apogee", [truth(1)])
    assert [one.prediction.id for one in store.joined("apogee", after=cursor)] == ["1"]


def test_the_first_truth_stands_and_later_ones_are_kept_apart(store: Store) -> None:
    store.write_predictions([row(1)])
    counts = store.write_truths("apogee", [truth(1, 1.0), truth(1, 2.0)])
    assert counts == FeedbackCounts(accepted=1, duplicate=1, unmatched=0, conflicting=1)
    assert store.write_truths("apogee", [truth(1, 1.0)]) == FeedbackCounts(0, 1, 0)
    assert [one.truth for one in store.joined("apogee")] == [{"apogee_m": 1.0}]
    assert store.counts("apogee") == StoreCounts(1, 1, 1, 0, repeated=2, conflicting=1)


def test_workloads_do_not_share_ids(store: Store) -> None:
    store.write_predictions([row(1)])
    assert store.write_truths("weather", [truth(1)]) == FeedbackCounts(0, 0, 1)
    assert store.joined("apogee") == store.joined("weather") == []


def test_more_truths_than_a_statement_has_parameters(store: Store) -> None:
    numbers = range(12_000)
    store.write_predictions([row(n) for n in numbers[::8]])
    assert store.write_truths("apogee", [truth(n) for n in numbers]) == FeedbackCounts(1500, 0, 10_500)
    assert store.write_truths("apogee", [truth(n) for n in numbers]) == FeedbackCounts(0, 12_000, 0)


def test_a_time_without_a_zone_is_refused(store: Store) -> None:
    with pytest.raises(Exception, match=r"got 2026-03-01T12:00:00 without a zone"):
        store.write_truths("apogee", [truth(1, observed_at=NOW.replace(tzinfo=None))])
    assert store.counts("apogee").truths == 0


Event = st.tuples(st.sampled_from(["prediction", "truth"]), st.integers(0, 5), st.sampled_from([1.0, 2.0]))


@pytest.fixture(scope="module")
def two_stores(databases: Databases) -> Iterator[tuple[Store, Store]]:
    """For examples that clear them."""
    with (
        one_of(databases) as one,
        one_of(databases) as other,
        closing(Store(one, lambda: NOW)) as first,
        closing(Store(other, lambda: NOW)) as second,
    ):
        yield first, second


@given(batches=st.lists(st.lists(Event, max_size=6), max_size=6))
@settings(max_examples=examples(10))
def test_any_order_of_predictions_and_truths_ends_in_the_same_pairs(
    two_stores: tuple[Store, Store], batches: list[list[tuple[str, int, float]]]
) -> None:
    store, _ = two_stores
    clear(store)
    known: set[int] = set()
    first: dict[int, float] = {}
    seen, cursor = [], 0
    for batch in batches:
        known |= {number for kind, number, _ in batch if kind == "prediction"}
        store.write_predictions([row(number) for kind, number, _ in batch if kind == "prediction"])
        sent = [(number, value) for kind, number, value in batch if kind == "truth"]
        counts = store.write_truths("apogee", [truth(number, value) for number, value in sent])
        assert counts.accepted + counts.duplicate + counts.unmatched == len(sent)
        for number, value in sent:
            first.setdefault(number, value)
        new = store.joined("apogee", after=cursor)
        cursor = new[-1].seq if new else cursor
        seen += [(int(one.prediction.id), one.truth["apogee_m"]) for one in new]
    assert sorted(seen) == sorted((n, v) for n, v in first.items() if n in known)


Calls = st.lists(st.lists(Event, max_size=4), max_size=8)


@given(calls=Calls, cuts=st.lists(st.booleans(), min_size=8, max_size=8))
@settings(max_examples=examples(10))
def test_calls_that_are_written_together_count_as_one_by_one(
    two_stores: tuple[Store, Store], calls: list[list[tuple[str, int, float]]], cuts: list[bool]
) -> None:
    one_by_one, together = two_stores
    expected: list[FeedbackCounts] = []
    found: list[FeedbackCounts] = []
    gathered: list[list[Truth]] = []
    for store in two_stores:
        clear(store)
        store.write_predictions([row(number) for number in (0, 2, 4)])
    for call, cut in zip(calls, cuts, strict=False):
        truths = [truth(number, value) for _, number, value in call]
        expected.append(one_by_one.write_truths("apogee", truths))
        gathered.append(truths)
        if cut:
            found += together.write_truth_calls("apogee", gathered)
            gathered = []
    found += together.write_truth_calls("apogee", gathered)
    assert found == expected
    assert pairs_in(together) == pairs_in(one_by_one)
    assert together.counts("apogee") == one_by_one.counts("apogee")


def pairs_in(store: Store) -> dict[str, object]:
    return {one.prediction.id: one.truth for one in store.joined("apogee")}


def test_a_truth_is_compared_as_it_was_written(store: Store) -> None:
    again = Truth("1", {"path": ({"time_s": 60, "latitude": 1.0},)})
    counts = store.write_truth_calls("apogee", [[again], [again]])
    counts += store.write_truth_calls("apogee", [[again]])
    assert [(one.duplicate, one.conflicting) for one in counts] == [(0, 0), (1, 0), (1, 0)]


def test_routing_is_there_once_a_policy_is(store: Store) -> None:
    assert store.routing("apogee") is None
    assert store.put_arm("apogee", "mlp", version(1)) == 1
    assert store.routing("apogee") is None
    assert store.put_policy("apogee", POLICY) == 2
    assert store.routing("apogee") == RoutingTable(revision=2, policy=POLICY, arms={"mlp": version(1)})


def test_arms_are_set_kept_and_taken_out(store: Store) -> None:
    store.put_policy("apogee", POLICY)
    store.put_arms("apogee", {"mlp": version(1), "linear": version(1)})
    assert store.put_arms("apogee", {"mlp": version(2)}) == 3
    assert store.put_arms("apogee", {"linear": None}) == 4
    assert store.put_arms("apogee", {"mlp": version(2), "linear": None}) == 4  # as it is already
    table = store.routing("apogee")
    assert table is not None
    assert table.arms == {"mlp": version(2)}


def test_champions_that_do_not_serve_are_in_the_table_until_they_do(store: Store) -> None:
    store.put_policy("apogee", POLICY)
    held = HeldBack(model_version="2", reason="Replicas refuse it: torn", since=NOW)
    assert store.put_held_back("apogee", {}) == 1
    assert store.put_held_back("apogee", {"mlp": held}) == 2
    assert store.put_held_back("apogee", {"mlp": held}) == 2
    table = store.routing("apogee")
    assert table is not None
    assert table.held_back == {"mlp": held}
    assert store.put_held_back("apogee", {"linear": held}, actor="x") == 3
    assert store.put_held_back("apogee", {}) == 4
    table = store.routing("apogee")
    assert table is not None
    assert table.held_back == {}
    acts = [(one.actor, one.detail["to"]) for one in store.audit_events("apogee") if one.kind == "held_back"]
    content = held.model_dump(mode="json")
    assert acts == [("system", {"mlp": content}), ("x", {"linear": content}), ("system", {})]


def test_a_seeded_policy_gives_way_to_a_change_at_run_time_until_the_file_changes(store: Store) -> None:
    from_file, by_hand = POLICY, RoutingPolicy(weights={"linear": 1})
    assert store.seed_policy("apogee", from_file) == 1
    assert store.seed_policy("apogee", from_file) == 1
    assert store.put_policy("apogee", by_hand) == 2
    assert store.seed_policy("apogee", from_file) == 2
    assert policy_of(store) == by_hand
    changed = RoutingPolicy(weights={"linear": 2, "mlp": 1})
    assert store.seed_policy("apogee", changed) == 3
    assert policy_of(store) == changed


def policy_of(store: Store) -> RoutingPolicy:
    table = store.routing("apogee")
    assert table is not None
    return table.policy


def test_a_policy_based_on_an_old_revision_is_refused(store: Store) -> None:
    store.put_policy("apogee", POLICY, expected_revision=0)
    store.put_policy("apogee", POLICY, expected_revision=1)
    with pytest.raises(Conflict, match="the routing has revision 2, not 1"):
        store.put_policy("apogee", POLICY, expected_revision=1)


def test_changes_of_routing_are_acts(store: Store) -> None:
    store.put_policy("apogee", POLICY, actor="ann")
    store.put_arm("apogee", "mlp", version(1), actor="lifecycle_controller")
    cursor = store.record_audit_event("apogee", "retrain", "ann", {"reason": "drift"})
    policy, arms, retrain = store.audit_events("apogee")
    assert (policy.kind, policy.actor, policy.detail["to"]["weights"]) == ("policy", "ann", POLICY.weights)
    assert (arms.kind, arms.detail["from"], arms.detail["revision"]) == ("arms", {"mlp": None}, 2)
    assert (retrain.seq, retrain.at, retrain.detail) == (cursor, NOW, {"reason": "drift"})
    assert store.audit_events("apogee", after=cursor) == []


def test_sqlite_is_durable_at_each_commit(
    tmp_path: Path, synchronous: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.store.sql.engine.SYNCHRONOUS", synchronous)
    store = Store(f"sqlite:///{tmp_path}/new/store.db")
    store.create_tables()
    with reading(store.engine) as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(text("PRAGMA synchronous")) == 2  # FULL


def test_an_unavailable_database_is_distinguished_from_a_wrong_statement(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="unable to open database file"):
        Store(f"sqlite:///{tmp_path}/no/such/folder/s.db").counts("apogee")


def test_rows_are_bound_as_sqlalchemy_binds_them(store: Store) -> None:
    """The short way into the table writes the very values that the long one does."""
    # two blocks and some by themselves
    rows = [row(n)._replace(members={"mlp": {"share": 1}} if n % 2 else None) for n in range(604)]
    store.write_predictions(rows)
    columns = ", ".join(name for name in PredictionRecord._fields if name != "id")
    with writing(store.engine) as connection:
        short = connection.exec_driver_sql(f"SELECT {columns} FROM predictions ORDER BY seq").all()
        connection.execute(insert(predictions), [one._asdict() | {"id": f"{one.id} again"} for one in rows])
        both = connection.exec_driver_sql(f"SELECT {columns} FROM predictions ORDER BY seq").all()
    assert both == [*short, *short]


def test_of_many_rows_those_that_are_there_stay_as_they_are(store: Store) -> None:
    store.write_predictions([row(300)])
    others = [row(n % 550)._replace(entity="another") for n in range(604)]
    store.write_predictions(others)
    found = {one.id: one.entity for _, one in store.predictions("apogee", limit=1000)}
    assert found == {str(n): "another" for n in range(550)} | {"300": row(300).entity}


def test_the_insert_of_postgresql_goes_by_name_and_asks_for_nothing_back() -> None:
    made = _insert(POSTGRESQL)
    assert made.statement.endswith("ON CONFLICT DO NOTHING")
    (parameters,) = made.parameters([row(1)])
    assert (parameters["id"], parameters["prediction"]) == ("1", '{"apogee_m": 1.0}')


def test_a_text_that_is_too_long_for_postgresql_is_refused_not_cut(
    postgres_databases: PostgresDatabases,
) -> None:
    with one_of(postgres_databases) as url, closing(Store(url)) as store:
        with pytest.raises(DataError, match="too long"):
            store.write_predictions([row(1)._replace(entity="A" * 261)])
        store.write_predictions([row(1)._replace(entity="A" * 260)])


def test_the_tables_are_valid_for_postgresql() -> None:
    statements = [str(CreateTable(t).compile(dialect=POSTGRESQL)) for t in metadata.sorted_tables]
    assert any("seq BIGSERIAL NOT NULL" in statement for statement in statements)
    assert any("created_at TIMESTAMP WITH TIME ZONE" in statement for statement in statements)


def test_threads_that_bump_the_revision_lose_no_update(store: Store) -> None:
    def put(worker: int) -> Callable[[], None]:
        def work() -> None:
            for number in range(10):
                store.put_arm("apogee", f"arm {worker}", version(number))

        return work

    threads = [threading.Thread(target=put(worker)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.put_policy("apogee", POLICY) == 41
    table = store.routing("apogee")
    assert table is not None
    assert table.arms == {f"arm {worker}": version(9) for worker in range(4)}


def test_processes_that_write_at_once_count_everything_once(empty_url: str) -> None:
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        counts = list(pool.map(write_everything, [empty_url] * 3, range(3)))
    store = Store(empty_url)
    assert sum(accepted for accepted, _ in counts) == 100
    assert sum(repeated for _, repeated in counts) == 200
    assert store.counts("apogee") == StoreCounts(100, 100, 100, 0, 200, 0)
    assert len(store.joined("apogee")) == 100
    assert store.put_policy("apogee", POLICY) == 31
    store.close()


def test_a_policy_from_before_there_were_bounds_is_brought_within_them(store: Store) -> None:
    store.put_policy("apogee", POLICY)
    beyond = POLICY.model_dump(mode="json") | {
        "deadline_s": 1e-9,
        "deadlines_s": {"mlp": 1e300},
        "breaker": {"failures_to_open": 10**7, "open_s": 5, "half_open_probes": 1},
        "ensembles": {"x" * 70: {"arms": ["mlp", "linear"], "window": 10, "min_truths": 5}},
        "weights": {"mlp": 1e9, "linear": 0.2, "x" * 70: 1},
        "fallback": ["mlp", "x" * 70, "linear"],
    }
    with store.engine.begin() as connection:
        connection.execute(update(routing).values(policy=beyond))
    policy = policy_of(store)
    assert (policy.deadline_s, policy.deadlines_s, policy.breaker.failures_to_open) == (
        0.01,
        {"mlp": 600},
        10**6,
    )
    assert (policy.weights, policy.fallback) == ({"mlp": 1e6, "linear": 0.2}, ("mlp", "linear"))
    assert policy.ensembles == {}
