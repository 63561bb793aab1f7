"""Running systems that several files share: one for tests that only use it, one for tests that change it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any

import pytest

from tests.support.collector import Collector, running_collector
from tests.support.postgres import Cluster, programs
from tests.support.prometheus import posts
from tests.support.system import RunningSystem, running_system


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that share a system at the end: it would take time from the others while it waits.

    That saves time and no more: they pass in any order.
    """
    items.sort(key=_shared)


def _shared(item: pytest.Item) -> int:
    used: Sequence[str] = getattr(item, "fixturenames", ())
    if item.get_closest_marker("integration") is None or not {"system", "fast_system"} & set(used):
        return 0
    return 2 if "system" in used else 1


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
