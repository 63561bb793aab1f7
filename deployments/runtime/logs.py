"""Log lines as JSON, one object a line, for whoever collects them."""

from __future__ import annotations

import logging
import os
import time
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, TextIO

import orjson

# Keys of a request's line, in this order; all other extras follow.
REQUEST_KEYS = ("request_id", "http_request_id", "trace_id", "workload", "arm", "model_version")

_MAX_BYTES = 20 * 1024 * 1024
_BACKUPS = 3
_KEPT_S = 7 * 24 * 3600

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class JsonFormatter(logging.Formatter):
    """`time` (UTC), `level`, `logger`, `message`, then what was given by `extra=`, then `exception`.

    A record with `extra={"each": [...]}` becomes a line for each of these dicts, which it begins alike.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Lines of JSON, mostly one; a value that JSON does not know appears as its text."""
        # with an underscore begins what a library, such as Ray, keeps on a record for itself
        extras = {
            k: v for k, v in vars(record).items() if k not in _STANDARD and k[0] != "_" and v is not None
        }
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if each := extras.pop("each", None):
            return "\n".join(_json(line | one) for one in each)
        line |= {key: extras.pop(key) for key in REQUEST_KEYS if key in extras}
        line |= extras
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _json(line)


class _BoundedFile(RotatingFileHandler):
    """Turns to a new file after the record that fills one: Python's own formats each twice to know before."""

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802 - Python's name
        return self.stream is not None and self.stream.tell() >= self.maxBytes


def configure_json_logs(stream: TextIO, logger: str = "", level: int = logging.INFO) -> None:
    """Write the lines of `logger` (the root by default) to `stream`. Called at the edge, once a process."""
    _configure(logging.StreamHandler(stream), logger, level)


def configure_log_file(folder: Path, name: str, logger: str = "deployments") -> None:
    """Write the lines of `logger` to `folder/name.<process id>.jsonl`, kept to a few files of bounded size.

    Files of processes that ended a week ago or longer are deleted.
    """
    _configure(bounded_file(folder, name), logger, logging.INFO)


def bounded_file(folder: Path, name: str) -> logging.Handler:
    """What writes to `folder/name.<process id>.jsonl`, see `configure_log_file`."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{name}.*.jsonl*"):
        if time.time() - old.stat().st_mtime > _KEPT_S:
            old.unlink(missing_ok=True)
    path = folder / f"{name}.{os.getpid()}.jsonl"
    return _BoundedFile(path, maxBytes=_MAX_BYTES, backupCount=_BACKUPS)


def leave_out_calls_of_serve() -> None:
    """Serve's replica makes a record of each call, only to drop it (`enable_access_log: false`): 10 us of it.

    Its warnings and errors stay.
    """
    logging.getLogger("ray.serve").setLevel(logging.WARNING)


def is_worth_a_line(times: int) -> bool:
    """Whether to log what has happened so many times: at 1, 2, 4, 8 ..., so that it does not fill the log."""
    return times & (times - 1) == 0


def _configure(handler: logging.Handler, logger: str, level: int) -> None:
    handler.setFormatter(JsonFormatter())
    target = logging.getLogger(logger)
    target.handlers = [handler]
    target.setLevel(level)


def _json(line: dict[str, Any]) -> str:
    return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
