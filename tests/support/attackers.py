"""What somebody without a key may do to a port, each in a process of its own: `attacking(port, kinds)`."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import resource
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

PATH = "/apogee/predict"
_PAUSE_S = 0.2
Attack = Callable[[int], Awaitable[None]]


async def stalled_body(port: int) -> None:
    """Send a head that names a body, and no body."""
    await _hold(port, f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")


async def half_a_head(port: int) -> None:
    await _hold(port, f"POST {PATH} HTTP/1.1\r\nHost: x\r\nX-Slow: ")


async def wrong_key(port: int) -> None:
    await _hold(port, f"GET {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong\r\n\r\n")


# so many at once
KINDS: dict[str, tuple[Attack, int]] = {
    "stalled bodies": (stalled_body, 300),
    "half heads": (half_a_head, 4100),
    "wrong keys": (wrong_key, 200),
}


async def _hold(port: int, text: str) -> None:
    """Open a connection, send this, and stay until the other side closes it."""
    with suppress(OSError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(text.encode())
            while await reader.read(4096):
                pass
        finally:
            writer.close()


async def _again_and_again(attack: Attack, port: int) -> None:
    while True:
        await attack(port)
        await asyncio.sleep(_PAUSE_S)


async def _all(port: int, kind: str) -> None:
    attack, count = KINDS[kind]
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(_again_and_again(attack, port))
            if number % 50 == 49:
                await asyncio.sleep(0.02)


def _attack(port: int, kind: str) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    # attackers have processors of their own
    os.nice(19)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(_all(port, kind))


@contextmanager
def attacking(port: int, kinds: Sequence[str] = tuple(KINDS)) -> Iterator[None]:
    """Attack a port until the end of the context."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_attack, args=(port, kind), daemon=True) for kind in kinds]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()
