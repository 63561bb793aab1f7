"""What has to change in the routing table so that each arm serves its champion. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from deployments.domain.routing import ArmVersion


@dataclass(frozen=True)
class Swap:
    """One arm moves from `old` (None: it had no version yet) to `new`."""

    arm: str
    old: ArmVersion | None
    new: ArmVersion


def plan_swaps(
    serving: Mapping[str, ArmVersion],
    champions: Mapping[str, ArmVersion],
    arms: Collection[str],
    refused: Collection[str],
) -> list[Swap]:
    """Swaps that bring `serving` to `champions`, in the order of `arms`.

    Champions of families that have no arm are left alone, and so are bundles in `refused`: they failed
    their checks once, and their content cannot change without changing the hash.
    """
    swaps = []
    for arm in arms:
        new, old = champions.get(arm), serving.get(arm)
        if new is not None and new != old and new.bundle not in refused:
            swaps.append(Swap(arm, old, new))
    return swaps
