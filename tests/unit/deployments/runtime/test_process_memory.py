import asyncio
import gc
import threading
import weakref

import pytest

from deployments.runtime.process_memory import collect_and_trim, collect_and_trim_regularly


class Node:
    """Refers to itself, so that only a search finds that it is garbage."""

    def __init__(self) -> None:
        self.itself = self


def test_tidying_up_finds_garbage() -> None:
    gc.disable()
    try:
        gone = weakref.ref(Node())
        assert gone() is not None
        collect_and_trim()
        assert gone() is None
    finally:
        gc.enable()


async def test_it_is_done_again_and_again_and_not_by_the_event_loop() -> None:
    threads: list[threading.Thread] = []
    is_done = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tidy() -> None:
        threads.append(threading.current_thread())
        if len(threads) == 3:
            loop.call_soon_threadsafe(is_done.set)

    task = asyncio.create_task(collect_and_trim_regularly(0.0, tidy))
    await asyncio.wait_for(is_done.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert threading.current_thread() not in threads
