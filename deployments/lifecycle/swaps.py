"""Decides which versions have to come into service: each arm's champion, and the shadow beside it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from deployments.domain.routing import ArmVersion
from deployments.lifecycle.observation import VersionObservation


@dataclass(frozen=True)
class Swap:
    """A move of one arm from `old` (None: it had no version yet) to `new`."""

    arm: str
    old: ArmVersion | None
    new: ArmVersion


@dataclass(frozen=True)
class ShadowChange:
    """New shadows, and arms that are to have none; one change of the routing table."""

    swaps: tuple[Swap, ...]
    ended: tuple[str, ...]


def decide_swaps(seen: VersionObservation) -> tuple[Swap | ShadowChange, ...]:
    """Return what brings the routing table to the champions and to the shadows of open promotions, in order.

    Shadows stay as they are where the promotions are not known. An arm whose promotion is being aborted stays
    at what it serves.
    """
    arms, table = seen.served.arms, seen.table
    stay = () if seen.promotions is None else seen.promotions.aborting
    swaps = plan_swaps(
        seen.serving, seen.aliases.champions, [arm for arm in arms if arm not in stay], seen.refused
    )
    if table is None or seen.promotions is None:
        return tuple(swaps)
    wanted = seen.promotions.shadows
    shadows = plan_swaps(table.shadows, wanted, arms, seen.refused)
    ended = tuple(arm for arm in table.shadows if arm not in wanted)
    return (*swaps, ShadowChange(tuple(shadows), ended)) if shadows or ended else tuple(swaps)


def plan_swaps(
    serving: Mapping[str, ArmVersion],
    wanted: Mapping[str, ArmVersion],
    arms: Collection[str],
    refused: Collection[str],
) -> list[Swap]:
    """Return the swaps that bring `serving` to `wanted`, in the order of `arms`.

    Versions of families that have no arm are left alone, and so are bundles in `refused`: they failed their
    checks, and are not to be tried again yet.
    """
    swaps = []
    for arm in arms:
        new, old = wanted.get(arm), serving.get(arm)
        if new is not None and new != old and new.bundle not in refused:
            swaps.append(Swap(arm, old, new))
    return swaps
