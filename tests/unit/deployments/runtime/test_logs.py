import builtins
import io
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from logging.handlers import RotatingFileHandler
from pathlib import Path

import pytest

from deployments.inference.recording.request_log import RequestLog
from deployments.runtime.logs import (
    PACKAGES,
    RepeatedErrors,
    bounded_file,
    configure_json_logs,
    configure_log_file,
    should_log_count,
)
from deployments.store import PredictionRecord
from tests.support.conditions import wait_for

REPOSITORY = Path(__file__).resolve().parents[4]


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    logger = logging.getLogger("raysonde_test")
    made = io.StringIO()
    configure_json_logs(made, "raysonde_test")
    yield made
    logger.handlers = []


def test_a_line_has_the_request_then_the_extras(stream: io.StringIO) -> None:
    log = logging.getLogger("raysonde_test.router")
    extra = {
        "rows": 3,
        "arm": "mlp",
        "request_id": "01J",
        "workload": "apogee",
        "model_version": None,
        "_ray": 1,
    }
    log.info("answered %s", "A12", extra=extra)
    (line,) = stream.getvalue().splitlines()
    content = json.loads(line)
    assert list(content) == ["time", "level", "logger", "message", "request_id", "workload", "arm", "rows"]
    assert (content["level"], content["message"], content["rows"]) == ("info", "answered A12", 3)
    assert datetime.fromisoformat(content["time"]).utcoffset() == timedelta(0)


def test_an_exception_stays_on_one_line(stream: io.StringIO) -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        logging.getLogger("raysonde_test").exception("failed")
    (line,) = stream.getvalue().splitlines()
    assert "ValueError: first\nsecond" in json.loads(line)["exception"]


@pytest.mark.parametrize("how", ["of the handler", "an error", "a tuple"])
def test_in_a_file_an_exception_is_its_traceback_however_it_is_given(how: str, tmp_path: Path) -> None:
    configure_log_file(tmp_path, "router", ["raysonde_test"])
    log = logging.getLogger("raysonde_test")
    try:
        raise ValueError("first\nsecond")
    except ValueError as error:
        log.error("failed", exc_info={"an error": error, "a tuple": sys.exc_info()}.get(how, True))
    for handler in log.handlers:
        handler.close()
    log.handlers = []
    (path,) = tmp_path.iterdir()
    (line,) = path.read_text().splitlines()
    text = json.loads(line)["exception"]
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith("ValueError: first\nsecond")


def test_a_traceback_does_not_go_through_print(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker of Ray has another one, which prints its arguments as a tuple: so they were in the files."""
    monkeypatch.setattr(builtins, "print", lambda *words, **options: options["file"].write(str(words)))
    try:
        raise ValueError("first")
    except ValueError:
        logging.getLogger("raysonde_test").exception("failed")
    text = json.loads(stream.getvalue())["exception"]
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith("ValueError: first")


def test_the_text_of_an_exception_is_bounded_and_keeps_both_ends(stream: io.StringIO) -> None:
    try:
        raise ValueError("x" * 1_000_000 + " the end")
    except ValueError:
        logging.getLogger("raysonde_test").exception("failed")
    (line,) = stream.getvalue().splitlines()
    text = json.loads(line)["exception"]
    assert len(text) < 8_100
    assert text.startswith("Traceback (most recent call last)")
    assert text.endswith("x the end")


def test_a_value_that_json_does_not_know_is_text(stream: io.StringIO) -> None:
    logging.getLogger("raysonde_test").info("saved", extra={"path": Path("a/b"), "sizes": {1: {2}}})
    content = json.loads(stream.getvalue())
    assert (content["path"], content["sizes"]) == ("a/b", {"1": "{2}"})


def test_configuring_twice_does_not_double_the_lines(stream: io.StringIO) -> None:
    configure_json_logs(stream, "raysonde_test")
    logging.getLogger("raysonde_test").debug("hidden")
    logging.getLogger("raysonde_test").info("once")
    assert len(stream.getvalue().splitlines()) == 1


def test_of_what_goes_on_fewer_and_fewer_times_are_logged() -> None:
    assert [times for times in range(1, 70) if should_log_count(times)] == [1, 2, 4, 8, 16, 32, 64]


@pytest.fixture
def without_handlers() -> Iterator[None]:
    yield
    for name in PACKAGES:
        logger = logging.getLogger(name)
        for handler in logger.handlers:
            handler.close()
        logger.handlers = []
        logger.setLevel(logging.NOTSET)


@pytest.mark.usefixtures("without_handlers")
def test_what_any_module_of_the_product_logs_is_in_the_file(tmp_path: Path) -> None:
    """All that has a logger of its own, but for commands, which write to the terminal."""
    modules = [
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
        for package in ("deployments", "training", "features", "configs")
        for path in (REPOSITORY / package).rglob("*.py")
        if "getLogger(__name__)" in path.read_text()
    ]
    assert len(modules) > 20
    assert any(module.startswith("training.") for module in modules)
    configure_log_file(tmp_path, "router")
    for module in modules:
        logging.getLogger(module).warning("here")
    (path,) = tmp_path.iterdir()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted(line["logger"] for line in lines) == sorted(modules)


def test_an_error_that_comes_again_and_again_is_whole_once(stream: io.StringIO) -> None:
    errors = RepeatedErrors(logging.getLogger("raysonde_test"), "not read", workload="toy")
    for _ in range(9):
        errors.failed(ConnectionError("refused"))
    errors.failed(ValueError("another"))
    errors.passed()
    errors.passed()
    errors.failed(ConnectionError("refused"))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["message"], "exception" in line) for line in lines] == [
        ("not read", True),
        *((f"not read, {times} times: ConnectionError('refused')", False) for times in (2, 4, 8)),
        ("not read", True),
        ("no longer: not read", False),
        ("not read", True),
    ]
    assert {line["workload"] for line in lines} == {"toy"}


class CountingFormatter(logging.Formatter):
    times = 0

    def format(self, record: logging.LogRecord) -> str:
        self.times += 1
        return super().format(record)


def test_a_full_file_is_followed_by_another_and_each_record_is_formatted_once(tmp_path: Path) -> None:
    handler, formatter = bounded_file(tmp_path, "router"), CountingFormatter()
    assert isinstance(handler, RotatingFileHandler)
    handler.maxBytes = 20
    handler.setFormatter(formatter)
    for text in ("one of ten", "two of ten", "three"):
        handler.emit(logging.makeLogRecord({"msg": text}))
    handler.close()
    older, newest = Path(f"{handler.baseFilename}.1"), Path(handler.baseFilename)
    assert older.read_text().split("\n") == ["one of ten", "two of ten", ""]
    assert newest.read_text() == "three\n"
    assert formatter.times == 3


def test_files_of_processes_that_are_long_gone_are_deleted(tmp_path: Path) -> None:
    old, recent, other = (tmp_path / name for name in ("router.1.jsonl", "router.2.jsonl", "monitor.1.jsonl"))
    for path, days in ((old, 8), (recent, 6), (other, 8)):
        path.touch()
        at_s = time.time() - days * 24 * 3600
        os.utime(path, (at_s, at_s))
    bounded_file(tmp_path, "router").close()
    assert (old.exists(), recent.exists(), other.exists()) == (False, True, True)


async def test_answers_are_logged_together_and_are_a_line_each(stream: io.StringIO) -> None:
    log = RequestLog(logging.getLogger("raysonde_test"), interval_s=0.01)
    log.add([answer("01J", datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC))])
    log.add([answer("01K", datetime(2026, 1, 1, 12, 0, 1, tzinfo=UTC))])
    assert stream.getvalue() == ""
    await wait_for(lambda: stream.getvalue() != "")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert list(first.items()) == [
        ("time", "2026-01-01T12:00:00.250+00:00"),
        ("level", "info"),
        ("logger", "raysonde_test"),
        ("message", "predicted"),
        ("request_id", "01J"),
        ("workload", "apogee"),
        ("arm", "mlp"),
        ("model_version", "3"),
        ("latency_ms", 1.25),
        ("fallback", False),
    ]
    assert second == first | {"time": "2026-01-01T12:00:01.000+00:00", "request_id": "01K"}


async def test_what_waits_is_logged_once_at_the_end(stream: io.StringIO) -> None:
    log = RequestLog(logging.getLogger("raysonde_test"))
    log.flush()
    log.add([answer("01J", datetime(2026, 1, 1, tzinfo=UTC))])
    log.flush()
    log.flush()
    assert len(stream.getvalue().splitlines()) == 1


def answer(id_: str, created_at: datetime) -> PredictionRecord:
    return PredictionRecord(
        workload="apogee",
        id=id_,
        entity="A12",
        arm="mlp",
        model_version="3",
        bundle="sha256:0",
        schema_version="1.0",
        named=False,
        fallback=False,
        attempts=("mlp",),
        created_at=created_at,
        latency_s=0.00125,
        prediction={"apogee_m": 1280.0},
        interval={"apogee_m": [1200.0, 1300.0]},
        coverage=0.9,
        payload="{}",
        filled={},
    )
