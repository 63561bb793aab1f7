"""A choice between weighted names that is the same on every replica and moves few keys when weights change.

The choice is a weighted rendezvous: each arm draws an exponential time at the rate of its weight from a
stable hash of (workload, key, arm), and the smallest wins. An arm wins with probability weight / sum of
weights. When one weight changes, or an arm comes or goes, keys move only to or from that arm. For any
change of shares at distance d (total variation) at most 2d / (1 + d) of the keys move, and no choice
without a memory moves fewer in the worst case (Bavarian et al. 2020, "Optimality of correlated sampling
strategies"; the draw is due to Efraimidis and Spirakis 2006).
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from math import log


def pick(weights: Mapping[str, float], workload: str, key: str) -> str:
    """Return the arm that wins the weighted rendezvous for `key`; weights above 0."""
    if len(weights) == 1:
        return next(iter(weights))
    head = _prefixed(workload) + _prefixed(key)
    draws = [(-log(_unit(head + _prefixed(arm))) / weight, arm) for arm, weight in weights.items()]
    return min(draws)[1]


def unit_hash(*parts: str) -> float:
    """Return a stable number in (0, 1): the first 52 bits of BLAKE2b over the length-prefixed parts."""
    return _unit("".join(map(_prefixed, parts)))


def _prefixed(part: str) -> str:
    return f"{len(part)}:{part}"


def _unit(text: str) -> float:
    digest = blake2b(text.encode(), digest_size=8).digest()
    return ((int.from_bytes(digest, "big") >> 12) + 0.5) / 2**52
