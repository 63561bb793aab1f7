"""The versions in MLflow's database, read from its tables. Nothing is written, made or migrated.

MLflow has had these columns, with the same meaning, since October 2023; a database without them is left to
MLflow. `workspace` came in 2026, and MLflow without workspaces sees the default one only.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError, ProgrammingError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from training.registry.errors import RegistryUnreadable
from training.registry.model_version import HASH_TAG
from training.registry.version_row import VersionRow

_SQLITE_FILE = "sqlite:///"
_IS_SHOWN = "name LIKE :names{in_workspace}"
_VERSIONS = """SELECT name, version, creation_time, source, storage_location, run_id FROM model_versions
    WHERE {is_shown} AND current_stage <> 'Deleted_Internal'"""
_HASHES = f"SELECT name, version, value FROM model_version_tags WHERE {{is_shown}} AND key = '{HASH_TAG}'"
_ALIASES = "SELECT name, version, alias FROM registered_model_aliases WHERE {is_shown} ORDER BY alias"
_OF_THEIR_RUNS = "run_uuid IN (SELECT run_id FROM model_versions WHERE {is_shown})"
_RUNS = f"SELECT run_uuid FROM runs WHERE {_OF_THEIR_RUNS}"
_METRICS = f"SELECT run_uuid, key, value, is_nan FROM latest_metrics WHERE {_OF_THEIR_RUNS}"


def read_versions(uri: str, workload: str, alias: str | None = None) -> list[VersionRow] | None:
    """Return the versions of a workload; None where the tables are not those that are known here.

    Args:
        uri: SQLAlchemy's URL; a SQLite file that is not there has no versions, and is not made.
        workload: whose versions.
        alias: only those that have it.

    Raises:
        RegistryUnreadable: the database does not answer.
    """
    file = uri.removeprefix(_SQLITE_FILE)
    if file != uri and not Path(file).exists():
        return []
    try:
        # one connection is all that is needed, and pools of a program that ends complain
        with create_engine(uri, poolclass=NullPool).connect() as connection:
            try:
                return _Tables(connection, workload).versions(alias)
            except (OperationalError, ProgrammingError):
                return None
    except SQLAlchemyError as error:
        raise RegistryUnreadable.because_of(error, uri) from error


class _Tables:
    def __init__(self, connection: Connection, workload: str) -> None:
        self._connection = connection
        self._prefix = f"{workload}."
        columns = connection.execute(text("SELECT * FROM model_versions WHERE 1 = 0")).keys()
        in_workspace = " AND workspace = 'default'" if "workspace" in columns else ""
        self._is_shown = _IS_SHOWN.format(in_workspace=in_workspace)

    def versions(self, alias: str | None) -> list[VersionRow]:
        hashes = {(name, version): value for name, version, value in self._rows(_HASHES)}
        aliases: dict[tuple[str, int], tuple[str, ...]] = defaultdict(tuple)
        for name, version, held in self._rows(_ALIASES):
            aliases[name, int(version)] += (held,)
        runs: dict[str, dict[str, float]] = {run_id: {} for (run_id,) in self._rows(_RUNS)}
        for run_id, key, value, is_nan in self._rows(_METRICS):
            runs[run_id][key] = math.nan if is_nan else float(value)
        return [
            VersionRow(
                name=name,
                version=version,
                source=storage or source or "",
                run_id=run_id or "",
                created_at_ms=int(created),
                bundle=hashes.get((name, version)),
                metrics=runs.get(run_id) if run_id else {},
                aliases=aliases[name, version],
            )
            for name, version, created, source, storage, run_id in self._rows(_VERSIONS)
            # an underscore in the name of a workload is a wildcard to LIKE
            if name.startswith(self._prefix) and (alias is None or alias in aliases[name, version])
        ]

    def _rows(self, query: str) -> Iterable[Any]:
        return self._connection.execute(
            text(query.format(is_shown=self._is_shown)), {"names": f"{self._prefix}%"}
        )
