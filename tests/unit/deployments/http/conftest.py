"""The client of the tests of HTTP; each module has the `system` that it asks."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.support.serving import LocalSystem


@pytest.fixture
async def client(system: LocalSystem) -> AsyncIterator[httpx.AsyncClient]:
    async with system.http() as client:
        yield client
