"""A store of each kind, at a time that tests set; files that need another one have their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from deployments.store import Store
from tests.support.clocks import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(store_url: str, clock: Clock) -> Iterator[Store]:
    with closing(Store(store_url, clock)) as opened:
        yield opened
