"""A store of an older version goes on, and what later versions read of it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from deployments.domain.routing import ArmVersion, RoutingPolicy, RoutingTable
from deployments.store import Store, Truth
from deployments.store.sql.engine import writing
from deployments.store.sql.schema import audit_events
from tests.support.records import row

POLICY = RoutingPolicy(weights={"mlp": 0.8, "linear": 0.2}, fallback=("mlp", "linear"))

# the table as it was before ensembles
_OLD_PREDICTIONS = """
CREATE TABLE predictions (
    seq INTEGER NOT NULL, workload VARCHAR(64) NOT NULL, id VARCHAR(64) NOT NULL, entity VARCHAR(64) NOT NULL,
    arm VARCHAR(64) NOT NULL, model_version VARCHAR(64) NOT NULL, bundle VARCHAR(80) NOT NULL,
    schema_version VARCHAR(32) NOT NULL, named BOOLEAN NOT NULL, fallback BOOLEAN NOT NULL,
    attempts JSON NOT NULL, created_at DATETIME NOT NULL, latency_s FLOAT NOT NULL, prediction JSON NOT NULL,
    interval JSON NOT NULL, coverage FLOAT NOT NULL, filled JSON NOT NULL, payload TEXT NOT NULL,
    PRIMARY KEY (seq AUTOINCREMENT), UNIQUE (workload, id)
)"""
_OLD_ROW = """
INSERT INTO predictions (workload, id, entity, arm, model_version, bundle, schema_version, named, fallback,
    attempts, created_at, latency_s, prediction, interval, coverage, filled, payload)
VALUES ('apogee', '1', 'A12', 'mlp', '1', 'sha256:00', '1.0', 0, 0, '["mlp"]', '2026-01-01 00:00:00.000000',
    0.01, '{"apogee_m": 1.0}', '{"apogee_m": [0.5, 1.5]}', 0.9, '{}', '{}')"""


# the table as it was before shadows
_OLD_ROUTING = """
CREATE TABLE routing (
    workload VARCHAR(64) NOT NULL, revision INTEGER NOT NULL, policy JSON, arms JSON NOT NULL,
    updated_at DATETIME NOT NULL, PRIMARY KEY (workload)
)"""


def version(number: int) -> ArmVersion:
    return ArmVersion(model_version=str(number), bundle=f"sha256:{number}", source=f"models/{number}")


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with closing(Store(store_url)) as opened:
        yield opened


def test_a_database_of_an_older_version_gets_the_columns_that_it_lacks(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        connection.execute(_OLD_PREDICTIONS)
        connection.execute(_OLD_ROW)
        connection.commit()
    store = Store(f"sqlite:///{tmp_path}/store.db")
    for _ in range(2):
        store.create_tables()
    members = {"mlp": {"bundle": "sha256:00", "prediction": {"apogee_m": 1.0}}}
    new = row(2)._replace(members=members)
    store.write_predictions([new])
    assert [one for _, one in store.predictions("apogee")] == [row(1), new]


def test_a_routing_table_of_an_older_version_has_no_shadows_and_nothing_before(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        connection.execute(_OLD_ROUTING)
        values = ("apogee", 3, POLICY.model_dump_json(), f'{{"mlp": {version(1).model_dump_json()}}}')
        insert = "INSERT INTO routing VALUES (?, ?, ?, ?, '2026-01-01 00:00:00.000000')"
        connection.execute(insert, values)
        connection.commit()
    store = Store(f"sqlite:///{tmp_path}/store.db")
    store.create_tables()
    old = RoutingTable(revision=3, policy=POLICY, arms={"mlp": version(1)})
    assert store.routing("apogee") == old
    store.put_shadows("apogee", {"mlp": version(2)})
    store.put_arm("apogee", "mlp", version(3))
    assert store.routing("apogee") == RoutingTable(
        revision=5,
        policy=POLICY,
        arms={"mlp": version(3)},
        shadows={"mlp": version(2)},
        previous={"mlp": version(1)},
    )
    store.close()


def test_what_judging_takes_is_read_without_payloads_and_from_near_the_end(store: Store) -> None:
    members = {"mlp": {"bundle": "sha256:00", "prediction": {"apogee_m": 1.0}}}
    store.write_predictions([row(n) for n in range(9)] + [row(9)._replace(members=members)])
    store.write_truths("apogee", [Truth(str(n), {"apogee_m": float(n)}) for n in range(10)])
    assert [store.labelled_tail("apogee", n) for n in (0, 3, 10, 11)] == [10, 7, 0, 0]
    assert store.labelled_tail("weather", 3) == 0
    found = store.labelled("apogee", 7, limit=2)
    assert [(one.seq, one.truth, one.members) for one in found] == [
        (8, {"apogee_m": 7.0}, None),
        (9, {"apogee_m": 8.0}, None),
    ]
    assert (found[0].bundle, found[0].prediction) == ("sha256:00", {"apogee_m": 1.0})
    assert store.labelled("apogee", 9)[0].members == members
    assert store.labelled("apogee", 10) == []


def test_a_setting_that_a_later_version_knows_besides_is_no_change_of_the_file(store: Store) -> None:
    first = store.seed_policy("apogee", POLICY)
    changed = store.put_policy("apogee", POLICY.model_copy(update={"sticky": False}))
    with writing(store.engine) as connection:
        content = POLICY.model_dump(mode="json", exclude={"ensembles"})
        connection.execute(
            audit_events.update()
            .where(audit_events.c.actor == "start-up")
            .values(detail={"from": None, "to": content})
        )
    assert store.seed_policy("apogee", POLICY) == changed == first + 1
    assert store.seed_policy("apogee", POLICY.model_copy(update={"deadline_s": 1.0})) == changed + 1
