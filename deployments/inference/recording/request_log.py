"""A log line for each answer, written after the answer is sent."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

from deployments.runtime.buffered_lines import BufferedLines
from deployments.store.records import PredictionRecord

log = logging.getLogger(__name__)

_Answers = tuple[Sequence[PredictionRecord], str | None]


class RequestLog:
    """A log of answers over `BufferedLines`.

    Args:
        logger: takes the records, at level info.
        interval_s: how long an answer waits for others.
    """

    def __init__(self, logger: logging.Logger = log, interval_s: float = 0.2) -> None:
        self._buffered: BufferedLines[_Answers] = BufferedLines(logger, "predicted", _lines, interval_s)
        self.flush = self._buffered.flush

    def add(self, records: Sequence[PredictionRecord], trace_id: str | None = None) -> None:
        """Take answers, at least one, of one request and time, with the id of its trace if it has one."""
        self._buffered.add((records, trace_id), len(records))


def _lines(answers: _Answers) -> Iterator[dict[str, Any]]:
    records, trace_id = answers
    time = records[0].created_at.isoformat(timespec="milliseconds")
    trace = {"trace_id": trace_id} if trace_id else {}
    for record in records:
        yield {
            "time": time,
            "request_id": record.id,
            **trace,
            "workload": record.workload,
            "arm": record.arm,
            "model_version": record.model_version,
            "latency_ms": round(record.latency_s * 1000, 2),
            "fallback": record.fallback,
        }
