"""Tables as MLflow has them, with and without workspaces."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.registry_tables import RUN_TABLES, TABLES, registry_database
from training.registry.sql_reader import read_versions
from training.registry.version_row import VersionRow


@pytest.mark.parametrize("workspaces", [False, True])
def test_the_versions_of_a_workload(tmp_path: Path, workspaces: bool) -> None:
    found = read_versions(registry_database(tmp_path / "mlflow.db", workspaces=workspaces), "toy")
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


def test_the_versions_with_an_alias(tmp_path: Path) -> None:
    uri = registry_database(tmp_path / "mlflow.db", workspaces=True)
    found = read_versions(uri, "toy", "champion")
    assert found is not None
    assert [(row.name, row.version, row.aliases) for row in found] == [
        ("toy.linear", 2, ("challenger", "champion"))
    ]
    assert read_versions(uri, "toy", "newest") == []


def test_an_underscore_in_the_name_of_a_workload_stands_for_itself(tmp_path: Path) -> None:
    assert read_versions(registry_database(tmp_path / "mlflow.db", workspaces=True), "to_") == []


@pytest.mark.parametrize("table", [*TABLES, *RUN_TABLES])
def test_a_database_that_lacks_a_table_is_left_to_mlflow(tmp_path: Path, table: str) -> None:
    uri = registry_database(tmp_path / "mlflow.db", workspaces=False)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        connection.execute(f"DROP TABLE {table}")
        connection.commit()
    assert read_versions(uri, "toy") is None


def test_a_database_without_a_column_is_left_to_mlflow(tmp_path: Path) -> None:
    uri = registry_database(tmp_path / "mlflow.db", workspaces=False)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        connection.execute("ALTER TABLE model_versions DROP COLUMN storage_location")
        connection.commit()
    assert read_versions(uri, "toy") is None
