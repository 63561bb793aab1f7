"""`raysonde logs` on lines that the real formatter wrote, and every query of the runbook."""

from __future__ import annotations

import json
import logging
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send
from typer.testing import CliRunner

from deployments.actors.tracing_sdk import open_tracing
from deployments.domain.errors import NoArmAvailable, Unauthorized
from deployments.http.error_log import ErrorLog
from deployments.http.problems import problem_response
from deployments.inference.recording.request_log import RequestLog
from deployments.runtime.logs import configure_log_file
from features.errors import FieldError
from scripts.cli.main import app
from tests.support.page import blocks_of
from tests.support.records import row
from training.runtime.environment import Environment
from training.runtime.settings import REPOSITORY

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
RUNBOOK = [block.text for block in blocks_of(REPOSITORY / "docs" / "how-to" / "operate.md")]


def commands() -> list[list[str]]:
    """The arguments of every `raysonde logs` of the runbook."""
    found: list[list[str]] = []
    for text in RUNBOOK:
        if not text.startswith("raysonde logs"):
            continue
        for word in shlex.split(text):
            if word == "raysonde":
                found.append([])
            else:
                found[-1].append(word)
    return found


@pytest.fixture
async def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAYSONDE_VAR", str(tmp_path))
    monkeypatch.delenv("RAYSONDE_TRACES", raising=False)
    logger = logging.getLogger("deployments")
    before = logger.handlers, logger.level
    configure_log_file(tmp_path / "logs", "apogee-router")
    await write_lines()
    for handler in logger.handlers:
        handler.close()
    logger.handlers, level = before
    logger.setLevel(level)
    return tmp_path


async def write_lines() -> None:
    """Five answers, three errors and a few other lines, by what writes them in a replica."""
    log = RequestLog()
    for number in range(5):
        answer = row(number)
        at = NOON + timedelta(minutes=number // 4)
        answer = answer._replace(created_at=at, latency_s=0.001 * 10**number, fallback=number == 4)
        log.add([answer], TRACE if number == 3 else None)
    log.flush()
    errors = iter(
        [
            FieldError("samples[0].time_s", "x", "a number"),
            NoArmAvailable("apogee: no arm answered"),
            Unauthorized("Send the key of the service"),
        ]
    )

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await problem_response(next(errors), scope["path"])(scope, receive, send)

    error_log = ErrorLog(refuse, "apogee", now=lambda: NOON)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(error_log), base_url="http://test") as client:
        for name in ("one", "two", "three"):
            await client.post("/apogee/predict", headers={"x-request-id": name})
    error_log.flush()
    fields = {"request_id": "3", "workload": "apogee", "arm": "mlp", "reason": "mlp: out of time"}
    logging.getLogger("deployments.inference.dispatcher").warning("arm failed", extra=fields)
    logging.getLogger("deployments.lifecycle.reconciler").info(
        "arm swapped", extra={"workload": "apogee", "arm": "mlp"}
    )


def ask(*arguments: str) -> list[dict[str, Any]]:
    result = CliRunner().invoke(app, ["logs", *arguments, "--json"])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def test_errors_are_counted_by_kind(var: Path) -> None:
    found = {row["kind"]: row for row in ask("errors")}
    assert found.keys() == {"invalid-field", "unavailable", "unauthorized"}
    assert found["unavailable"] == {
        "workload": "apogee",
        "kind": "unavailable",
        "status": 503,
        "requests": 1,
        "latest": "2026-05-01 12:00:00",
        "latest_detail": "apogee: no arm answered",
    }


def test_the_slowest_come_first_and_arms_are_counted_by_the_minute(var: Path) -> None:
    assert [row["latency_ms"] for row in ask("slow")] == [10000.0, 1000.0, 100.0, 10.0, 1.0]
    assert [(row["minute"], row["answers"], row["p50_ms"]) for row in ask("arms")] == [
        ("2026-05-01 12:01:00", 1, 10000.0),
        ("2026-05-01 12:00:00", 4, 55.0),
    ]


@pytest.mark.parametrize(
    ("id_", "expected"),
    [("3", ["answered", "arm failed"]), (TRACE, ["answered"]), ("one", ["not answered"]), ("nobody", [])],
)
def test_a_request_is_found_by_any_of_its_ids(var: Path, id_: str, expected: list[str]) -> None:
    assert [row["what"] for row in ask("request", id_)] == expected


def test_spans_are_among_the_lines_of_a_request(var: Path) -> None:
    tracing = open_tracing(Environment.of({"RAYSONDE_TRACES": str(var / "traces")}), "apogee", "mlp")
    with tracing.called("arm", f"00-{TRACE}-00f067aa0ba902b7-01", arm="mlp", rows=1):
        pass
    tracing.close()
    for id_ in ("3", TRACE):
        assert {"span: arm", "answered"} <= {row["what"] for row in ask("request", id_)}
    assert ask("SELECT name, attributes->>'raysonde.arm' AS arm FROM spans") == [
        {"name": "arm", "arm": "mlp"}
    ]


def test_a_line_that_is_not_whole_yet_is_left_out(var: Path) -> None:
    (file,) = (var / "logs").glob("*.jsonl")
    with file.open("a") as end:
        end.write('{"time": "2026-05-01T12:00:00.000+00:00", "level": "in')
    (file.parent / f"{file.name}.1").write_text(file.read_text().splitlines()[0] + "\n")
    assert ask("SELECT count(*) AS answers FROM requests") == [{"answers": 6}]


@pytest.mark.parametrize("arguments", commands(), ids=lambda words: " ".join(words)[:40])
def test_the_queries_of_the_runbook_can_be_asked(var: Path, arguments: list[str]) -> None:
    assert arguments[0] == "logs"
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "rows" in result.output


def test_the_runbook_finds_what_is_there(var: Path) -> None:
    """Each query answers something about these lines, but those that name a moment or an id."""
    found = {" ".join(words): ask(*words[1:]) for words in commands()}
    empty = [words for words, rows in found.items() if not rows]
    assert all("BETWEEN" in words or "01M7YFJS50" in words for words in empty), empty
    assert len(found) >= 10


def test_what_cannot_be_answered_is_an_error_of_one_line(var: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["logs", "SELECT nonsense FROM requests"])
    assert result.exit_code == 1
    assert "nonsense" in result.output
    empty = CliRunner().invoke(app, ["logs", "--folder", str(tmp_path / "nothing")])
    assert empty.exit_code == 1
    assert "no log file in" in empty.output
    assert "Traceback" not in result.output + empty.output
