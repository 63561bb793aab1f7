"""How many examples a dear property test takes: few, and more in a run of its own."""

from __future__ import annotations

from hypothesis import settings

_QUICK = 100


def examples(quick: int) -> int:
    """Return the number of examples, from that of the profile `quick`, by the profile of this run."""
    return quick * settings().max_examples // _QUICK
