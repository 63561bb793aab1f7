import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from deployments.logs import configure_json_logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    logger = logging.getLogger("raysonde_test")
    made = io.StringIO()
    configure_json_logs(made, "raysonde_test")
    yield made
    logger.handlers = []


def test_a_line_has_the_request_then_the_extras(stream: io.StringIO) -> None:
    log = logging.getLogger("raysonde_test.router")
    extra = {"rows": 3, "arm": "mlp", "request_id": "01J", "workload": "apogee", "model_version": None}
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


def test_a_value_that_json_does_not_know_is_text(stream: io.StringIO) -> None:
    logging.getLogger("raysonde_test").info("saved", extra={"path": Path("a/b"), "sizes": {1: {2}}})
    content = json.loads(stream.getvalue())
    assert (content["path"], content["sizes"]) == ("a/b", {"1": "{2}"})


def test_configuring_twice_does_not_double_the_lines(stream: io.StringIO) -> None:
    configure_json_logs(stream, "raysonde_test")
    logging.getLogger("raysonde_test").debug("hidden")
    logging.getLogger("raysonde_test").info("once")
    assert len(stream.getvalue().splitlines()) == 1
