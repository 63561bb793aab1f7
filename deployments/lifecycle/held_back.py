"""The champions that are not what serves, and the reasons. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from deployments.domain.routing import ArmVersion, HeldBack
from deployments.lifecycle.observation import VersionObservation

# A version is fetched and loaded in less, and a replica that is started anew is there again.
LOAD_TAKES = timedelta(minutes=1)


@dataclass(frozen=True)
class Deferral:
    """A version that could not be loaded yet.

    Attributes:
        version: the version.
        since: when that was first so.
        reason: of the first attempt.
    """

    version: ArmVersion
    since: datetime
    reason: str


def held_back(
    seen: VersionObservation, refusals: Mapping[str, str], deferrals: Mapping[str, Deferral]
) -> dict[str, HeldBack]:
    """Return, by arm, the champions that do not serve, with the reason.

    Args:
        seen: what is served, and what the registry names.
        refusals: why replicas refuse bundles, by content hash.
        deferrals: by arm, versions that could not be loaded yet.
    """
    before = {} if seen.table is None else seen.table.held_back
    found: dict[str, HeldBack] = {}
    for arm in seen.served.arms:
        named = _model_version_and_reason(seen, arm, refusals, deferrals.get(arm))
        if named is None:
            continue
        model_version, reason = named
        last = before.get(arm)
        since = last.since if last is not None and last.model_version == model_version else seen.now
        found[arm] = HeldBack(model_version=model_version, reason=reason, since=since)
    return found


def _model_version_and_reason(
    seen: VersionObservation, arm: str, refusals: Mapping[str, str], deferral: Deferral | None
) -> tuple[str, str] | None:
    if (broken := seen.aliases.unreadable.get(arm)) is not None:
        return broken.model_version, f"It cannot be read: {broken.reason}"
    champion = seen.aliases.champions.get(arm)
    if champion is None or champion == seen.serving.get(arm):
        return None
    if champion.bundle in refusals:
        return champion.model_version, f"Replicas refuse it: {refusals[champion.bundle]}"
    if deferral is not None and deferral.version == champion and seen.now - deferral.since >= LOAD_TAKES:
        return champion.model_version, f"It is not loaded yet: {deferral.reason}"
    return None
