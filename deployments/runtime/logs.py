"""Log lines as JSON, one object a line, for log collectors."""

from __future__ import annotations

import logging
import os
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, TextIO

import orjson

# Keys of a request's line, in this order; all other extras follow.
REQUEST_KEYS = ("request_id", "http_request_id", "trace_id", "workload", "arm", "model_version")

# Packages whose modules log; what a replica loads of `training` and `features` has its part to say.
PACKAGES = ("deployments", "training", "features")

_MAX_BYTES = 20 * 1024 * 1024
_BACKUPS = 3
_KEPT_S = 7 * 24 * 3600
# of an exception's text: its beginning, and its end, which says what it was
_EXCEPTION_CHARACTERS = 8_000

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class JsonFormatter(logging.Formatter):
    """A formatter: `time` (UTC), `level`, `logger`, `message`, the values of `extra=`, then `exception`.

    A record with `extra={"each": [...]}` becomes a line for each of these dicts, with the same beginning.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return lines of JSON, mostly one; a value that JSON does not know appears as its text."""
        # attributes with an underscore belong to libraries such as Ray
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
            line["exception"] = _cut(self.formatException(record.exc_info))
        return _json(line)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - Python's name
        """Return the traceback; not by `print`, as Python's own does: Ray replaces it in its workers."""
        return "".join(traceback.format_exception(*ei)).rstrip("\n")


class _BoundedFile(RotatingFileHandler):
    """A rotating file that changes after the record that fills it: Python's own formats each record twice."""

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802 - Python's name
        return self.stream is not None and self.stream.tell() >= self.maxBytes


def configure_json_logs(stream: TextIO, logger: str = "", level: int = logging.INFO) -> None:
    """Write the lines of `logger` (the root by default) to `stream`. To be called once a process."""
    _configure(logging.StreamHandler(stream), logger, level)


def configure_log_file(folder: Path, name: str, loggers: Sequence[str] = PACKAGES) -> None:
    """Write the lines of `loggers` to `folder/name.<process id>.jsonl`, kept to a few files of bounded size.

    Files of processes that ended a week ago or longer are deleted.
    """
    handler = bounded_file(folder, name)
    for logger in loggers:
        _configure(handler, logger, logging.INFO)


def bounded_file(folder: Path, name: str) -> logging.Handler:
    """Return a handler that writes to `folder/name.<process id>.jsonl`, see `configure_log_file`."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{name}.*.jsonl*"):
        if time.time() - old.stat().st_mtime > _KEPT_S:
            old.unlink(missing_ok=True)
    path = folder / f"{name}.{os.getpid()}.jsonl"
    return _BoundedFile(path, maxBytes=_MAX_BYTES, backupCount=_BACKUPS)


def silence_serve_access_log() -> None:
    """Keep Serve from making a record of each call only to drop it (`enable_access_log: false`), 10 us each.

    Its warnings and errors stay.
    """
    logging.getLogger("ray.serve").setLevel(logging.WARNING)


def should_log_count(times: int) -> bool:
    """Return whether to log an event at this count: at 1, 2, 4, 8 ..., so that it does not fill the log."""
    return times & (times - 1) == 0


class RepeatedErrors:
    """The log of what is tried again and again: an error is whole at first, and then a line now and then.

    Args:
        log: where the lines go.
        message: what could not be done.
        labels: values of each line, such as the workload.
    """

    def __init__(self, log: logging.Logger, message: str, **labels: str) -> None:
        self._log = log
        self._message = message
        self._labels = labels
        self._last = ""
        self._times = 0

    def failed(self, error: Exception, **labels: str) -> None:
        """Log the error with these labels, unless it has come too often since anything else happened."""
        text = repr(error)
        self._times = self._times + 1 if text == self._last else 1
        self._last = text
        if self._times == 1:
            self._log.error(self._message, exc_info=error, extra=self._labels | labels)
        elif should_log_count(self._times):
            extra = self._labels | labels
            self._log.error("%s, %d times: %s", self._message, self._times, text, extra=extra)

    def passed(self) -> None:
        """Log that it was done after it had failed."""
        if self._times:
            self._log.info("no longer: %s", self._message, extra=self._labels)
        self._last, self._times = "", 0


def _configure(handler: logging.Handler, logger: str, level: int) -> None:
    handler.setFormatter(JsonFormatter())
    target = logging.getLogger(logger)
    target.handlers = [handler]
    target.setLevel(level)


def _cut(text: str) -> str:
    left_out = len(text) - _EXCEPTION_CHARACTERS
    if left_out <= 0:
        return text
    half = _EXCEPTION_CHARACTERS // 2
    return f"{text[:half]}\n... {left_out} characters ...\n{text[-half:]}"


def _json(line: dict[str, Any]) -> str:
    return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
