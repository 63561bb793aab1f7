"""Memory of a replica: what is free goes back to the system, what stays is not searched for garbage."""

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
TIDY_PERIOD_S = 5.0


def drain(items: list[T]) -> Iterator[T]:
    """They in their order, each gone from the list once it is drain, so that its memory can go too."""
    items.reverse()
    while items:
        yield items.pop()


def trim_heap() -> None:
    """Have the C library return what is free of its heap; nothing happens where it cannot.

    A random forest takes twice its size while ONNX Runtime reads it, and glibc would keep the other half.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)


def collect_and_trim() -> None:
    """Find garbage, which empties the interpreter's lists of spare objects, and give back what is free then.

    Memory goes back by the page, or by the megabyte, when nothing on it is in use: what a large batch leaves
    here and there would hold many times its size. Of a router whose lasting objects are frozen it stops the
    event loop for 1 to 8 ms, and for up to 40 while four batches of 10,000 rows are under way.
    """
    gc.collect()
    trim_heap()


def relax_gc() -> None:
    """Freeze what there is; to be called once, when the replica has what it keeps.

    Otherwise a search of everything stops a router for 50 to 80 ms while batches come in, and finds hardly
    anything: what a request leaves behind goes by its reference counts.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, _YOUNG_SEARCHES, _OLDER_SEARCHES)


async def collect_and_trim_regularly(
    period_s: float = TIDY_PERIOD_S, tidy: Callable[[], None] = collect_and_trim
) -> None:
    """For ever.

    Args:
        period_s: from the end of one time to the next.
        tidy: what is done then, in a thread.
    """
    while True:
        await asyncio.sleep(period_s)
        await asyncio.to_thread(tidy)
