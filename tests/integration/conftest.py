"""One running system for all tests that only use it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.system import RunningSystem, running_system


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    with running_system(tmp_path_factory.mktemp("system")) as running:
        yield running
