"""Fixtures of the unit tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from deployments.store.sql import engine
from tests.support.manifests import OVERLAYS, Objects, overlay

LONGEST = ("tests/unit/training/", "tests/unit/features/", "tests/unit/kuberay/")


def pytest_configure(config: pytest.Config) -> None:
    """Have xdist deal out the files in the order below, not by how many tests each has."""
    config.option.loadscopereorder = False


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that the workers end at the same time.

    Coverage is of the others than property tests: these run the same lines a hundred times, and to trace them
    doubles what they take.
    """
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))
    for item in items:
        if item.get_closest_marker("hypothesis"):
            item.add_marker("no_cover")


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    """The umask that systems have by default, and again after a test of what sets another."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What commands print is not broken where a line of the terminal ends, or its path is long."""
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="session", autouse=True)
def synchronous() -> Iterator[str]:
    """How SQLite syncs; here it does not, which would take milliseconds for each of thousands of commits."""
    with pytest.MonkeyPatch.context() as patch:
        before: str = engine.SYNCHRONOUS
        patch.setattr(engine, "SYNCHRONOUS", "OFF")
        yield before


@pytest.fixture(params=OVERLAYS)
def objects(request: pytest.FixtureRequest) -> Objects:
    """What `kubectl kustomize` makes of each overlay of kuberay/."""
    return overlay(request.param)
