"""One running system for all tests that only use it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.system import RunningSystem, running_system


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that share a system at the end: it would take time from the others while it waits."""
    items.sort(key=_shares_a_system)


def _shares_a_system(item: pytest.Item) -> bool:
    is_integration = item.get_closest_marker("integration") is not None
    return is_integration and "system" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    with running_system(tmp_path_factory.mktemp("system")) as running:
        yield running
