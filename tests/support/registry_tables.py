"""MLflow's tables of models and runs, as far as they are read without it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

Rows = Mapping[str, Sequence[tuple[Any, ...]]]

TABLES = {
    "model_versions": "name, version INTEGER, creation_time, source, storage_location, run_id, current_stage",
    "model_version_tags": "name, version INTEGER, key, value",
    "registered_model_aliases": "name, alias, version INTEGER",
}
RUN_TABLES = {"runs": "run_uuid", "latest_metrics": "run_uuid, key, value, is_nan"}
ROWS: Rows = {
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
RUN_ROWS: Rows = {
    "runs": [("r",), ("other",)],
    "latest_metrics": [("r", "mae", 1.5, 0), ("r", "r2", 0.0, 1), ("other", "mae", 9.0, 0)],
}


def registry_database(
    path: Path, *, workspaces: bool = False, rows: Rows = ROWS, run_rows: Rows = RUN_ROWS
) -> str:
    """Return the URL of a database with these rows; where there are workspaces, another one has them too."""
    with closing(sqlite3.connect(path)) as connection:
        for table, columns in TABLES.items():
            more = ", workspace" if workspaces else ""
            connection.execute(f"CREATE TABLE {table} ({columns}{more})")
            for row in rows[table]:
                here = (*row, "default") if workspaces else row
                elsewhere = [(*row, "another")] if workspaces else []
                for values in (here, *elsewhere):
                    connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)
        for table, columns in RUN_TABLES.items():
            connection.execute(f"CREATE TABLE {table} ({columns})")
            for row in run_rows[table]:
                connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
        connection.commit()
    return f"sqlite:///{path}"
