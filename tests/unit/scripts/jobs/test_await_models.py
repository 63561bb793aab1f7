"""A cluster starts when there is something to serve, and not before."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from deployments.store.sql.engine import StoreUnavailable
from scripts.jobs.await_models import await_models
from training.registry.errors import RegistryUnreadable


def test_it_waits_for_every_workload_and_through_what_is_away(caplog: pytest.LogCaptureFixture) -> None:
    away = (StoreUnavailable("no store"), RegistryUnreadable("no registry"))
    answers: Iterator[Exception | bool] = iter([*away, True, False, True, False, False, False])
    pauses: list[float] = []

    def lacks(_: str) -> bool:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with caplog.at_level(logging.INFO, "scripts.jobs.await_models"):
        await_models(["a", "b"], lacks, pauses.append)
    assert len(pauses) == 4
    assert [record.getMessage() for record in caplog.records] == [
        "waiting: no store",
        "waiting: no registry",
        "waiting for models of a",
        "every arm has a model",
    ]


def test_it_ends_at_once_when_all_are_there() -> None:
    await_models(["a"], lambda _: False, lambda _: pytest.fail("there was nothing to wait for"))
