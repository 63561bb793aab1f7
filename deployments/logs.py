"""Log lines as JSON, one object a line, for whoever collects them."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson

# Keys of a request's line, in this order; all other extras follow.
REQUEST_KEYS = ("request_id", "workload", "arm", "model_version")

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class JsonFormatter(logging.Formatter):
    """`time` (UTC), `level`, `logger`, `message`, then what was given by `extra=`, then `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON; a value that JSON does not know appears as its text."""
        extras = {k: v for k, v in vars(record).items() if k not in _STANDARD and v is not None}
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: extras.pop(key) for key in REQUEST_KEYS if key in extras}
        line |= extras
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def configure_json_logs(stream: TextIO, logger: str = "", level: int = logging.INFO) -> None:
    """Write the lines of `logger` (the root by default) to `stream`. Called at the edge, once a process."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    target = logging.getLogger(logger)
    target.handlers = [handler]
    target.setLevel(level)
