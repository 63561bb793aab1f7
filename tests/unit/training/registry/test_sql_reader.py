"""Tables as MLflow has them, with and without workspaces."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from training.registry.sql_reader import read_versions
from training.registry.version_row import VersionRow

TABLES = {
    "model_versions": "name, version INTEGER, creation_time, source, storage_location, run_id, current_stage",
    "model_version_tags": "name, version INTEGER, key, value",
    "registered_model_aliases": "name, alias, version INTEGER",
}
RUN_TABLES = {"runs": "run_uuid", "latest_metrics": "run_uuid, key, value, is_nan"}
ROWS: dict[str, list[tuple[Any, ...]]] = {
    "model_versions": [
        ("toy.linear", 1, 7, "file:///one", None, "r", "None"),
        ("toy.linear", 2, 8, "file:///two", "file:///copy", "r", "Production"),
        ("toy.linear", 3, 9, "file:///three", None, "r", "Deleted_Internal"),
        ("toy.mlp", 1, 10, "file:///four", "", None, "None"),
        ("toy.mlp", 2, 11, "file:///five", None, "gone", "None"),
        ("toyx.mlp", 1, 12, "file:///other", None, "r", "None"),
    ],
    "model_version_tags": [
        ("toy.linear", 1, "bundle", "sha256:1"),
        ("toy.linear", 2, "data_hash", "sha256:2"),
    ],
    "registered_model_aliases": [("toy.linear", "champion", 2), ("toy.linear", "challenger", 2)],
}
RUN_ROWS: dict[str, list[tuple[Any, ...]]] = {
    "runs": [("r",), ("other",)],
    "latest_metrics": [("r", "mae", 1.5, 0), ("r", "r2", 0.0, 1), ("other", "mae", 9.0, 0)],
}


def database(path: Path, *, workspaces: bool) -> str:
    with closing(sqlite3.connect(path)) as connection:
        for table, columns in TABLES.items():
            more = ", workspace" if workspaces else ""
            connection.execute(f"CREATE TABLE {table} ({columns}{more})")
            for row in ROWS[table]:
                here = (*row, "default") if workspaces else row
                elsewhere = [(*row, "another")] if workspaces else []
                for values in (here, *elsewhere):
                    connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)
        for table, columns in RUN_TABLES.items():
            connection.execute(f"CREATE TABLE {table} ({columns})")
            for row in RUN_ROWS[table]:
                connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
        connection.commit()
    return f"sqlite:///{path}"


@pytest.mark.parametrize("workspaces", [False, True])
def test_the_versions_of_a_workload(tmp_path: Path, workspaces: bool) -> None:
    found = read_versions(database(tmp_path / "mlflow.db", workspaces=workspaces), "toy")
    assert found is not None
    first, second, by_hand, orphan = sorted(found, key=lambda row: (row.name, row.version))
    assert first.metrics is not None
    assert first.metrics["mae"] == 1.5
    assert math.isnan(first.metrics["r2"])
    assert (first.source, first.bundle, first.aliases) == ("file:///one", "sha256:1", ())
    assert (second.source, second.bundle) == ("file:///copy", None)
    assert second.aliases == ("challenger", "champion")
    assert by_hand == VersionRow("toy.mlp", 1, "file:///four", "", 10, None, {}, ())
    assert (orphan.run_id, orphan.created_at_ms, orphan.metrics) == ("gone", 11, None)


def test_an_underscore_in_the_name_of_a_workload_stands_for_itself(tmp_path: Path) -> None:
    assert read_versions(database(tmp_path / "mlflow.db", workspaces=True), "to_") == []


@pytest.mark.parametrize("table", [*TABLES, *RUN_TABLES])
def test_a_database_that_lacks_a_table_is_left_to_mlflow(tmp_path: Path, table: str) -> None:
    uri = database(tmp_path / "mlflow.db", workspaces=False)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        connection.execute(f"DROP TABLE {table}")
        connection.commit()
    assert read_versions(uri, "toy") is None


def test_a_database_without_a_column_is_left_to_mlflow(tmp_path: Path) -> None:
    uri = database(tmp_path / "mlflow.db", workspaces=False)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        connection.execute("ALTER TABLE model_versions DROP COLUMN storage_location")
        connection.commit()
    assert read_versions(uri, "toy") is None
