"""Running systems that several files share: one for tests that only use it, one for tests that change it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.support.collector import Collector, running_collector
from tests.support.postgres import Cluster, programs
from tests.support.prometheus import posts
from tests.support.system import RunningSystem, running_system

# groups of tests, in the order in which they run
_OF_A_FILE, _OF_FAST_SYSTEM, _OF_SYSTEM = range(3)
_PARAMETER = re.compile(r"\b(fast_system|system): RunningSystem\b")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that share a system at the end: it would take time from the others while it waits.

    That saves time and no more: they pass in any order.
    """
    items.sort(key=lambda item: _sharing(item.path))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """With `-n`, give all files that share a system to one process, and each other file to any."""
    return _BySystem(config, log)


class _BySystem(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        group = _sharing(self.config.rootpath / file)
        return file if group == _OF_A_FILE else str(group)


@cache
def _sharing(file: Path) -> int:
    """Return the group of a test file: which system that is started here it uses, if any."""
    text = file.read_text()
    names = set(_PARAMETER.findall(text))
    if "fast_system" in names:
        return _OF_FAST_SYSTEM
    return _OF_SYSTEM if "system" in names and "\ndef system(" not in text else _OF_A_FILE


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """What the spans of `system` come to."""
    with running_collector() as running:
        yield running


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[RunningSystem]:
    """Behind Serve's own proxy; as it was after each test. Traces what is sent with a trace, no more."""
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_TRACES_SAMPLER": "parentbased_always_off",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    with running_system(tmp_path_factory.mktemp("system"), variables=variables) as running:
        yield running


class FastSystems:
    """One system at a time behind HAProxy, with two routers; another one when a test has ended the last.

    Its store and its registry are in PostgreSQL, where that is installed.
    """

    def __init__(self, folders: pytest.TempPathFactory, cluster: Cluster | None) -> None:
        self._folders = folders
        self._cluster = cluster
        self._started = 0
        self._open = ExitStack()
        self._last: RunningSystem | None = None

    def running(self) -> RunningSystem:
        """The one that runs."""
        if self._last is None or self._last.process.poll() is not None:
            self.close()
            self._started += 1
            started = running_system(
                self._folders.mktemp("fast"), "fast", routers=2, variables=self._in_postgresql()
            )
            self._last = self._open.enter_context(started)
        return self._last

    def close(self) -> None:
        """End the last one, unless it has ended."""
        self._open.close()

    def _in_postgresql(self) -> dict[str, str] | None:
        if self._cluster is None:
            return None
        journal, mlflow = (f"{name}_{self._started}" for name in ("journal", "mlflow"))
        for name in (journal, mlflow):
            self._cluster.execute(f"CREATE DATABASE {name}")
        return {
            "RAYSONDE_STORE_URL": self._cluster.url(journal),
            "RAYSONDE_REGISTRY_URI": self._cluster.url(mlflow),
        }


@pytest.fixture(scope="session")
def fast_systems(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[FastSystems]:
    with closing(
        FastSystems(tmp_path_factory, request.getfixturevalue("cluster") if programs() else None)
    ) as all_:
        yield all_


@pytest.fixture(scope="module")
def fast_system(fast_systems: FastSystems) -> RunningSystem:
    """Shared with other files, all of which change versions and policy, and one of which ends it."""
    return fast_systems.running()


@pytest.fixture(scope="module")
def slack() -> Iterator[tuple[str, list[Any]]]:
    """Where alerts arrive: the URL, and what was posted to it."""
    with posts() as found:
        yield found
