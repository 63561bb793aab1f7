"""A log line for each answer, behind the answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from deployments.store import PredictionRow

# logged at once: more would keep the event loop for too long
_MOST_WAITING = 250


class RequestLog:
    """Gathers answers, and logs them as one record that becomes a line each (`logs.JsonFormatter`).

    A record of its own for each answer takes seven times as long (23 us, not 3). Belongs to one event
    loop; a process that is killed loses the lines of the last `interval_s`.

    Args:
        logger: takes the records, at level info.
        interval_s: how long an answer waits for others.
    """

    def __init__(self, logger: logging.Logger, interval_s: float = 0.2) -> None:
        self._logger = logger
        self._interval_s = interval_s
        self._waiting: list[PredictionRow] = []

    def add(self, rows: Sequence[PredictionRow]) -> None:
        """Take answers."""
        if not self._waiting:
            asyncio.get_running_loop().call_later(self._interval_s, self.flush)
        self._waiting += rows
        if len(self._waiting) >= _MOST_WAITING:
            self.flush()

    def flush(self) -> None:
        """Log what has gathered."""
        rows, self._waiting = self._waiting, []
        if rows and self._logger.isEnabledFor(logging.INFO):
            self._logger.info("predicted", extra={"each": [_line(row) for row in rows]})


def _line(row: PredictionRow) -> dict[str, Any]:
    return {
        "time": row.created_at.isoformat(timespec="milliseconds"),
        "request_id": row.id,
        "workload": row.workload,
        "arm": row.arm,
        "model_version": row.model_version,
        "latency_ms": round(row.latency_s * 1000, 2),
        "fallback": row.fallback,
    }
