"""Running systems that several files share: one for tests that only use it, one for tests that change it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.support.collector import Collector, running_collector
from tests.support.postgres import Cluster, programs
from tests.support.prometheus import posts
from tests.support.system import RunningSystem, running_system


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that share a system at the end: it would take time from the others while it waits."""
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


@pytest.fixture(scope="session")
def fast_system(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[RunningSystem]:
    """Behind HAProxy, with two routers; tests change versions and policy. The last of test_up.py ends it.

    Its store and its registry are in PostgreSQL, where that is installed.
    """
    urls = _in_postgresql(request.getfixturevalue("cluster")) if programs() else None
    with running_system(tmp_path_factory.mktemp("fast"), "fast", routers=2, variables=urls) as running:
        yield running


def _in_postgresql(cluster: Cluster) -> dict[str, str]:
    for name in ("journal", "mlflow"):
        cluster.execute(f"CREATE DATABASE {name}")
    return {
        "RAYSONDE_STORE_URL": cluster.url("journal"),
        "RAYSONDE_REGISTRY_URI": cluster.url("mlflow"),
    }


@pytest.fixture(scope="module")
def slack() -> Iterator[tuple[str, list[Any]]]:
    """Where alerts arrive: the URL, and what was posted to it."""
    with posts() as found:
        yield found
