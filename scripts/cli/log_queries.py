"""The log files of a system, and its spans, as tables of DuckDB.

| view | a row is |
|---|---|
| `requests` | an instance that was answered |
| `errors` | a request that was answered by a problem document |
| `events` | any other line |
| `spans` | a span, where the system writes them into files (RAYSONDE_TRACES) |
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

# keys of the lines (`deployments.runtime.logs.JsonFormatter`); one that a line lacks is null
_LINE = {
    "time": "VARCHAR",
    "level": "VARCHAR",
    "logger": "VARCHAR",
    "message": "VARCHAR",
    "request_id": "VARCHAR",
    "http_request_id": "VARCHAR",
    "trace_id": "VARCHAR",
    "workload": "VARCHAR",
    "arm": "VARCHAR",
    "model_version": "VARCHAR",
    "bundle": "VARCHAR",
    "latency_ms": "DOUBLE",
    "fallback": "BOOLEAN",
    "client": "VARCHAR",
    "path": "VARCHAR",
    "status": "INTEGER",
    "kind": "VARCHAR",
    "field": "VARCHAR",
    "detail": "VARCHAR",
    "reason": "VARCHAR",
    "retraining": "VARCHAR",
    "promotion": "VARCHAR",
    "exception": "VARCHAR",
}
_SPAN = {
    "time": "VARCHAR",
    "trace_id": "VARCHAR",
    "span_id": "VARCHAR",
    "parent_id": "VARCHAR",
    "name": "VARCHAR",
    "kind": "VARCHAR",
    "workload": "VARCHAR",
    "part": "VARCHAR",
    "duration_ms": "DOUBLE",
    "is_error": "BOOLEAN",
    "attributes": "JSON",
    "links": "JSON",
}
_VIEWS = {
    "requests": """SELECT time, request_id, trace_id, workload, arm, model_version, latency_ms, fallback, file
        FROM lines WHERE message = 'predicted' AND request_id IS NOT NULL""",
    "errors": """SELECT time, level, http_request_id, trace_id, workload, client, path, status, kind, field,
        detail, latency_ms, file FROM lines WHERE message = 'not answered' AND status IS NOT NULL""",
    "events": """SELECT * EXCLUDE (latency_ms, fallback, client, path, status, kind, field, detail)
        FROM lines WHERE NOT (message = 'predicted' AND request_id IS NOT NULL)
        AND NOT (message = 'not answered' AND status IS NOT NULL)""",
}

# what `raysonde logs NAME` asks
QUESTIONS = {
    "errors": """SELECT workload, kind, status, count(*) AS requests, max(time) AS latest,
        arg_max(detail, time) AS latest_detail
        FROM errors GROUP BY ALL ORDER BY requests DESC""",
    "slow": """SELECT time, workload, arm, latency_ms, fallback, request_id, trace_id
        FROM requests ORDER BY latency_ms DESC LIMIT 20""",
    "arms": """SELECT date_trunc('minute', time) AS minute, workload, arm, count(*) AS answers,
        round(median(latency_ms), 2) AS p50_ms, round(quantile_cont(latency_ms, 0.99), 2) AS p99_ms
        FROM requests GROUP BY ALL ORDER BY minute DESC, workload, arm LIMIT 60""",
    "events": """SELECT time, level, workload, arm, message, reason FROM events
        WHERE level <> 'info' ORDER BY time DESC LIMIT 40""",
}
_OF_A_REQUEST = {
    "requests": """SELECT time, workload, 'answered' AS what, arm,
        model_version AS said, latency_ms AS ms FROM requests WHERE $id IN (request_id, trace_id)""",
    "errors": """SELECT time, workload, 'not answered', path, detail, latency_ms FROM errors
        WHERE $id IN (http_request_id, trace_id)""",
    "events": """SELECT time, workload, message, arm, coalesce(reason, exception), NULL FROM events
        WHERE $id IN (request_id, http_request_id, trace_id)""",
    "spans": """SELECT time, workload, 'span: ' || name, part,
        attributes::VARCHAR, duration_ms FROM spans WHERE trace_id = $id
        OR trace_id IN (SELECT trace_id FROM requests WHERE request_id = $id)""",
}


class NoLogs(ValueError):
    """There is no file to ask."""


@dataclass(frozen=True)
class Found:
    """Names of columns, and rows of as many values."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


class Logs:
    """Log files, read anew by each question.

    Args:
        folder: of the log files.
        traces: of the files with spans; there may be none.

    Raises:
        NoLogs: there is no log file in the folder.
    """

    def __init__(self, folder: Path, traces: Path) -> None:
        if not any(folder.glob("*.jsonl")):
            raise NoLogs(f"no log file in {folder}: start the system first, or name another --folder")
        self._database = duckdb.connect()
        self._has_spans = any(traces.glob("*.jsonl"))
        self._add("lines", folder, _LINE)
        for name, select in _VIEWS.items():
            self._database.execute(f"CREATE VIEW {name} AS {select}")
        if self._has_spans:
            self._add("spans", traces, _SPAN)

    def ask(self, sql: str) -> Found:
        """Answer a query.

        Raises:
            duckdb.Error: it is no SQL, or names what is not there.
        """
        return self._found(self._database.execute(sql))

    def of_request(self, id_: str) -> Found:
        """Return all lines and spans of a request, by any of its three ids, in the order of time."""
        parts = [sql for view, sql in _OF_A_REQUEST.items() if view != "spans" or self._has_spans]
        return self._found(self._database.execute(" UNION ALL ".join(parts) + " ORDER BY time", {"id": id_}))

    def _found(self, answer: duckdb.DuckDBPyConnection) -> Found:
        columns = tuple(column[0] for column in answer.description or ())
        return Found(columns, answer.fetchall())

    def _add(self, name: str, folder: Path, columns: dict[str, str]) -> None:
        """Add a view of all files of a folder, rotated ones too; `file` is the name of each."""
        types = ", ".join(f"{column}: '{kind}'" for column, kind in columns.items())
        # a line that is being written is not whole yet
        read = f"""read_json({_quoted(f"{folder}/*.jsonl*")}, format = 'newline_delimited',
            ignore_errors = true, filename = true, columns = {{{types}}})"""
        self._database.execute(
            f"""CREATE VIEW {name} AS SELECT * EXCLUDE (filename) REPLACE (time::TIMESTAMP AS time),
            parse_filename(filename) AS file FROM {read}"""
        )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
