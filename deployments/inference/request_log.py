"""A log line for each answer, behind the answer."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

from deployments.runtime.buffered_lines import BufferedLines
from deployments.store import PredictionRow

_Answers = tuple[Sequence[PredictionRow], str | None]


class RequestLog:
    """Logs answers, see `BufferedLines`.

    Args:
        logger: takes the records, at level info.
        interval_s: how long an answer waits for others.
    """

    def __init__(self, logger: logging.Logger, interval_s: float = 0.2) -> None:
        self._gathered: BufferedLines[_Answers] = BufferedLines(logger, "predicted", _lines, interval_s)
        self.flush = self._gathered.flush

    def add(self, rows: Sequence[PredictionRow], trace_id: str | None = None) -> None:
        """Take answers, at least one, of one request and time, with the id of its trace if it has one."""
        self._gathered.add((rows, trace_id), len(rows))


def _lines(answers: _Answers) -> Iterator[dict[str, Any]]:
    rows, trace_id = answers
    time = rows[0].created_at.isoformat(timespec="milliseconds")
    trace = {"trace_id": trace_id} if trace_id else {}
    for row in rows:
        yield {
            "time": time,
            "request_id": row.id,
            **trace,
            "workload": row.workload,
            "arm": row.arm,
            "model_version": row.model_version,
            "latency_ms": round(row.latency_s * 1000, 2),
            "fallback": row.fallback,
        }
