"""Memory of a replica: free memory goes back to the system, lasting objects are not searched for garbage."""

from __future__ import annotations

import asyncio
import ctypes
import gc
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")

# new objects before the youngest are searched (Python has 700), and how many such searches until all are
_NEW_OBJECTS = 50_000
_YOUNG_SEARCHES = 20
_OLDER_SEARCHES = 100
TRIM_PERIOD_S = 5.0


def drain(items: list[T]) -> Iterator[T]:
    """Yield the items in their order, and remove each from the list, so that its memory can be freed."""
    items.reverse()
    while items:
        yield items.pop()


def trim_heap() -> None:
    """Let the C library return the free part of its heap; nothing happens where it cannot.

    A random forest takes twice its size while ONNX Runtime reads it, and glibc would keep the other half.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)


def collect_and_trim() -> None:
    """Collect garbage, which empties the interpreter's lists of spare objects, and return the free memory.

    Memory goes back by the page, or by the megabyte, when nothing on it is in use: the rests of a large
    batch would keep many times their size. Of a router whose lasting objects are frozen it stops the
    event loop for 1 to 8 ms, and for up to 40 while four batches of 10,000 rows are in flight.
    """
    gc.collect()
    trim_heap()


def relax_gc() -> None:
    """Freeze the present objects; to be called once, when the replica has its lasting ones.

    Otherwise a full collection stops a router for 50 to 80 ms while batches come in, and finds hardly
    anything: the objects of a request are freed by their reference counts.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, _YOUNG_SEARCHES, _OLDER_SEARCHES)


async def collect_and_trim_regularly(
    period_s: float = TRIM_PERIOD_S, trim: Callable[[], None] = collect_and_trim
) -> None:
    """Collect and trim for ever.

    Args:
        period_s: from the end of one run to the next.
        trim: called for each run, in a thread.
    """
    while True:
        await asyncio.sleep(period_s)
        await asyncio.to_thread(trim)
