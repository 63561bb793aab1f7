"""Lists for `IN (...)`, of few lengths.

Each length is a statement of its own, and the SQLite driver keeps the last 128 of a connection compiled.
Lists of any length, as batches have them, took 60 MB of a busy router so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_LONGEST = 1024


def padded_in_lists(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the keys in lists whose lengths are powers of two, filled up with their last key."""
    for begin in range(0, len(keys), _LONGEST):
        part = keys[begin : begin + _LONGEST]
        room = (1 << (len(part) - 1).bit_length()) - len(part)
        yield [*part, *[part[-1]] * room]
