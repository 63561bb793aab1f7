"""Lines that are gathered: none is lost or told twice, and none waits for too long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

import pytest

from deployments.runtime.buffered_lines import BufferedLines

LOG = logging.getLogger("gathered")


def lines_of(thing: int) -> Iterable[dict[str, Any]]:
    return [{"thing": thing}]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "gathered")
    return caplog


def records(log: pytest.LogCaptureFixture) -> list[list[int]]:
    """The things of each record."""
    return [[line["thing"] for line in record.each] for record in log.records]  # type: ignore[attr-defined]


async def test_what_gathers_is_one_record(log: pytest.LogCaptureFixture) -> None:
    gathered = BufferedLines(LOG, "answered", lines_of, interval_s=60)
    gathered.add(1)
    gathered.add(2)
    assert records(log) == []
    gathered.flush()
    gathered.flush()
    assert records(log) == [[1, 2]]
    assert log.records[0].getMessage() == "answered"
    gathered.add(3)
    gathered.flush()
    assert records(log) == [[1, 2], [3]]


async def test_a_record_is_written_after_an_interval_that_begins_anew_each_time(
    log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    due: list[tuple[float, Any]] = []
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "call_later", lambda delay_s, act: due.append((delay_s, act)))
    gathered = BufferedLines(LOG, "answered", lines_of)
    gathered.add(1)
    gathered.add(2)
    assert [delay_s for delay_s, _ in due] == [0.2]
    due[0][1]()
    gathered.add(3)
    assert len(due) == 2
    due[1][1]()
    assert records(log) == [[1, 2], [3]]


async def test_as_many_lines_as_the_loop_can_bear_are_one_record(log: pytest.LogCaptureFixture) -> None:
    gathered = BufferedLines(LOG, "answered", lines_of, interval_s=60)
    gathered.add(1, lines=249)
    assert records(log) == []
    gathered.add(2)
    assert records(log) == [[1, 2]]
    gathered.add(3, lines=249)
    assert len(records(log)) == 1
    gathered.add(4, lines=300)
    assert records(log)[1:] == [[3, 4]]


async def test_lines_that_nobody_reads_are_not_made(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "gathered")

    def never(_: int) -> Iterable[dict[str, Any]]:
        raise AssertionError("nobody reads it")

    gathered = BufferedLines(LOG, "answered", never, interval_s=60)
    gathered.add(1)
    gathered.flush()
