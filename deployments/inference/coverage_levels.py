"""The levels at which arms make their regions, as a router replica knows them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from deployments.domain.errors import Unavailable
from deployments.store.monitor_feed import ArmLevel

log = logging.getLogger(__name__)


class CoverageLevels:
    """Of the arms of one workload; the last that were read stay until others are.

    Args:
        read: those that are in force; none unless given, so that all arms are at their nominal level.
    """

    def __init__(self, read: Callable[[], Sequence[ArmLevel]] = tuple) -> None:
        self._read = read
        self._levels: dict[tuple[str, str], float] = {}

    def of(self, arm: str, bundle: str) -> float | None:
        """The level of the arm with that bundle; None where it is the nominal one, as of a new bundle."""
        return self._levels.get((arm, bundle))

    def refresh(self) -> None:
        """Read them once; blocks. A store that is away changes nothing, and is no error here."""
        try:
            self._levels = {(one.arm, one.bundle): one.level for one in self._read()}
        except (Unavailable, OSError) as error:
            log.warning("levels not read: %s", error)
