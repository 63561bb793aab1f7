"""One entity is erased, and the others stay as they are."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from deployments.store import Store, Truth
from tests.support.records import row, shadow_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ENTITY, OTHER = "erased-entity", "other-entity"


def fill(store: Store, numbers: range, entity: str, workload: str = "apogee") -> None:
    """Write a prediction, a shadow's answer, a truth and a repeated one for each number."""
    rows = [row(number)._replace(entity=entity, workload=workload) for number in numbers]
    store.write_predictions(rows)
    store.shadows.write([shadow_of(one) for one in rows])
    for value in (1.0, 2.0):
        store.write_truths(workload, [Truth(one.id, {"apogee_m": value}) for one in rows])
    store.exchange_samples(workload, [(entity, [[1.0, 2.0]])], time_column=0, most_samples=5, most_entities=9)


def test_all_rows_of_the_entity_go_and_all_others_stay(store: Store) -> None:
    fill(store, range(10), OTHER)
    fill(store, range(3), ENTITY, workload="weather")
    before = store.inventory().rows
    pages = store.predictions("apogee"), store.joined("apogee")
    fill(store, range(10, 610), ENTITY)
    deleted = store.erase("apogee", ENTITY, actor="ann")
    each = dict.fromkeys(("predictions", "truths", "joins", "repeated_truths", "shadow_answers"), 600)
    assert deleted == {**each, "waiting_truths": 0, "histories": 1}
    assert store.inventory().rows == {**before, "acts": before["acts"] + 1}
    assert (store.predictions("apogee"), store.joined("apogee")) == pages


def test_the_act_tells_who_and_how_many_and_not_the_entity(store: Store) -> None:
    fill(store, range(2), ENTITY)
    deleted = store.erase("apogee", ENTITY, actor="ann")
    (act,) = store.audit_events("apogee")
    assert (act.kind, act.actor, act.detail) == ("erase", "ann", {"rows": deleted})


def test_a_reader_goes_on_from_its_cursor(store: Store) -> None:
    fill(store, range(5), ENTITY)
    cursor = store.predictions("apogee")[-1][0]
    pair = store.joined("apogee")[-1].seq
    store.erase("apogee", ENTITY, actor="ann")
    fill(store, range(5, 7), OTHER)
    assert [one.id for _, one in store.predictions("apogee", cursor)] == ["5", "6"]
    assert [one.prediction.id for one in store.joined("apogee", pair)] == ["5", "6"]


def test_nothing_of_it_is_left_in_the_file_of_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(Store(f"sqlite:///{path}")) as store:
        store.create_tables()
        fill(store, range(600), ENTITY)
        fill(store, range(600, 603), OTHER)
        store.erase("apogee", ENTITY, actor="ann")
    left = b"".join(one.read_bytes() for one in tmp_path.iterdir())
    assert OTHER.encode() in left
    assert ENTITY.encode() not in left
