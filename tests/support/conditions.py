"""Waiting on the event loop for what will be so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def wait_for(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Until `condition` holds.

    Raises:
        TimeoutError: it did not within `timeout_s`.
    """
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.001)
