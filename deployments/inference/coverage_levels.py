"""The coverage levels at which arms make their regions, as a router replica knows them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from deployments.domain.errors import Unavailable
from deployments.store.monitor_feed import ArmLevel

log = logging.getLogger(__name__)


class CoverageLevels:
    """The levels of the arms of one workload; the last that were read stay until others are.

    Args:
        read: reads the levels in force; none unless given, so that all arms are at their nominal level.
    """

    def __init__(self, read: Callable[[], Sequence[ArmLevel]] = tuple) -> None:
        self._read = read
        self._levels: dict[tuple[str, str], float] = {}

    def level(self, arm: str, bundle: str) -> float | None:
        """Return the level of the arm with that bundle; None for the nominal one, which a new bundle has."""
        return self._levels.get((arm, bundle))

    def refresh(self) -> None:
        """Read the levels once; blocks. While the store is unavailable the levels stay as they are."""
        try:
            self._levels = {(one.arm, one.bundle): one.level for one in self._read()}
        except (Unavailable, OSError) as error:
            log.warning("levels not read: %s", error)
