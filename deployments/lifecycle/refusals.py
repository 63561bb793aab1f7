"""The bundles that replicas refuse, and when each is tried again."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from deployments.domain.routing import ArmVersion
from training.runtime.retry_schedule import RetrySchedule

# A refused bundle costs what a load costs, and rarely gets better by itself.
FIRST_RETRY_S = 10.0
LONGEST_RETRY_S = 600.0


class Refusals:
    """The refused bundles of one workload, by content hash.

    A bundle is tried again as soon as its files have changed, and else after intervals that grow: what
    refused it may be another program by then.

    Args:
        clock: seconds, never backwards.
        stamp: of a source: what is another value once its files have changed.
    """

    def __init__(self, clock: Callable[[], float], stamp: Callable[[str], Hashable]) -> None:
        self._schedule = RetrySchedule[str](FIRST_RETRY_S, LONGEST_RETRY_S, clock)
        self._stamp = stamp
        self._stamps: dict[str, tuple[str, Hashable]] = {}

    def add(self, version: ArmVersion, reason: str) -> bool:
        """Record that a bundle was refused; return whether the reason is another than last time."""
        self._stamps[version.bundle] = version.source, self._stamp(version.source)
        return self._schedule.fail(version.bundle, reason)

    def remove(self, bundle: str) -> None:
        """Forget the refusals of a bundle, which was loaded."""
        self._stamps.pop(bundle, None)
        self._schedule.succeed(bundle)

    def stands(self, bundle: str) -> bool:
        """Return whether a bundle was refused, and is not to be tried again now."""
        return not self._schedule.is_due(bundle) and not self._has_changed(bundle)

    def standing(self) -> dict[str, str]:
        """Return why each bundle was refused that is not to be tried again now."""
        return {bundle: reason for bundle, reason in self.reasons().items() if self.stands(bundle)}

    def reasons(self) -> dict[str, str]:
        """Return why each bundle was refused, to be tried again or not."""
        return self._schedule.reasons()

    def _has_changed(self, bundle: str) -> bool:
        source, before = self._stamps[bundle]
        return self._stamp(source) != before
