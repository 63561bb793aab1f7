"""The promotions of one workload: versions are compared, promoted and taken back.

Every step is a row before it is an act. The keeper only decides, and moves the registry's `champion`. The
Ward brings versions to the replicas: the champion of an arm, and the one that gets copies of its requests.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from deployments.domain import promotion_transitions as states
from deployments.domain.errors import Conflict
from deployments.domain.promotion import Promotion
from deployments.domain.routing import ArmVersion, RoutingTable
from deployments.lifecycle.promotion_evidence import Evidence
from deployments.store import Store
from training.runtime.promotion_config import PromotionConfig

log = logging.getLogger(__name__)

# Of the time that counting pairs takes, so many times as long passes until they are counted again: copies
# whose truth is late are walked past each time.
_REST = 20


class Versions(Protocol):
    """The registry of one workload; see `deployments.lifecycle.registry`."""

    @property
    def champions(self) -> Mapping[str, ArmVersion]:
        """By arm, as last read."""

    @property
    def challengers(self) -> Mapping[str, ArmVersion]:
        """By arm, as last read."""

    def find(self, arm: str, model_version: str) -> ArmVersion | None:
        """One version, if there is such a one."""

    def make_champion(self, arm: str, model_version: str) -> None:
        """Give it the alias, unless it is gone."""

    def drop_challenger(self, arm: str, model_version: str) -> None:
        """It is no challenger any more."""


class PromotionController:
    """Keeps the promotions of one workload going. Synchronous; call it from a thread.

    Args:
        workload: its name.
        config: its section `promotion`.
        evidence: compares two versions.
        store: rows, and the answers of both versions.
        versions: the registry.
        clock: UTC time.

    Attributes:
        shadows: the version of each arm that is to get copies of its requests; None before the first round.
    """

    def __init__(
        self,
        workload: str,
        config: PromotionConfig,
        evidence: Evidence,
        store: Store,
        versions: Versions,
        clock: Callable[[], datetime],
    ) -> None:
        self.shadows: Mapping[str, ArmVersion] | None = None
        self._workload = workload
        self._config = config
        self._evidence = evidence
        self._rows = store.promotions
        self._answers = store.shadows
        self._versions = versions
        self._clock = clock
        self._rests_until: dict[str, datetime] = {}

    def reconcile(self, table: RoutingTable, refused: Mapping[str, str]) -> None:
        """One round.

        Args:
            table: what serves now.
            refused: why replicas refuse bundles, by content hash.

        Raises:
            StoreUnavailable: as for the store; what the registry raises comes through too.
        """
        under_way = self._rows.open(self._workload)
        try:
            self._begin({one.arm for one in under_way}, table)
            for promotion in under_way:
                self._step(promotion, table, refused)
        except Conflict as moved:
            log.info("%s", moved, extra={"workload": self._workload})
        now = self._rows.open(self._workload)
        self.shadows = {one.arm: one.shadow for one in now if one.shadow is not None}

    def _begin(self, busy: set[str], table: RoutingTable) -> None:
        """A promotion of every challenger that has had none; the alias of others is old."""
        for arm, challenger in self._versions.challengers.items():
            champion, its_version = self._versions.champions.get(arm), challenger.model_version
            if _same(challenger, champion) or self._rows.was_evaluated(self._workload, arm, its_version):
                self._versions.drop_challenger(arm, its_version)
                continue
            if arm in busy or not _same(champion, table.arms.get(arm)):
                continue  # while the champion is on its way, nobody can be compared with it
            begun = self._rows.begin(self._workload, arm, challenger, champion)
            log.info("promotion begun", extra=_labels(begun))

    def _step(self, seen: Promotion, table: RoutingTable, refused: Mapping[str, str]) -> None:
        moved = self._moved(seen, table, refused)
        if moved.state != seen.state:
            log.warning("promotion: %s. %s", moved.state, moved.reason, extra=_labels(moved))

    def _moved(self, seen: Promotion, table: RoutingTable, refused: Mapping[str, str]) -> Promotion:
        if seen.state == "asked":
            return self._found(seen)
        if (by_others := self._moved_by_others(seen)) is not None:
            return by_others
        assert seen.candidate is not None, "it was found"
        if seen.candidate.bundle in refused and seen.state in ("shadowing", "promoting"):
            reason = f"Replicas refuse it: {refused[seen.candidate.bundle]}"
            return self._change(seen, lambda row: states.cannot_serve(row, reason, self._clock()))
        if seen.state == "promoting":
            return self._bring(seen, seen.candidate, table, states.serves)
        if seen.state == "rolling_back":
            assert seen.predecessor is not None, "there is one to go back to"
            return self._bring(seen, seen.predecessor, table, states.rolled_back)
        return self._compared(seen)

    def _found(self, seen: Promotion) -> Promotion:
        found = self._versions.find(seen.arm, seen.model_version)
        champion = self._versions.champions.get(seen.arm)
        return self._change(seen, lambda row: states.found(row, found, champion, self._clock()))

    def _moved_by_others(self, seen: Promotion) -> Promotion | None:
        """It, if the champion is one that this promotion knows nothing of, or a newer challenger is there."""
        champion = self._versions.champions.get(seen.arm)
        challenger = self._versions.challengers.get(seen.arm)
        if seen.state == "shadowing":
            if _same(champion, seen.candidate):
                return self._change(seen, lambda row: states.promote(row, "the registry", self._clock()))
            if challenger is not None and not _same(challenger, seen.candidate):
                reason = f"There is a newer challenger, version {challenger.model_version}."
                return self._change(seen, lambda row: states.superseded(row, reason, self._clock()))
        if _same(champion, seen.candidate) and seen.state != "shadowing":
            return None
        if _same(champion, seen.predecessor) and seen.state != "probation":
            return None
        told = "no version" if champion is None else f"version {champion.model_version}"
        reason = f"Somebody else made {told} the champion."
        return self._change(seen, lambda row: states.superseded(row, reason, self._clock()))

    def _bring(
        self,
        seen: Promotion,
        version: ArmVersion,
        table: RoutingTable,
        arrived: Callable[[Promotion, datetime], Promotion],
    ) -> Promotion:
        """Have the arm serve this version."""
        if not _same(self._versions.champions.get(seen.arm), version):
            self._versions.make_champion(seen.arm, version.model_version)
        elif _same(table.arms.get(seen.arm), version):
            return self._change(seen, lambda row: arrived(row, self._clock()))
        return self._change(seen, lambda row: states.time_is_up(self._config, row, 0, self._clock()))

    def _compared(self, seen: Promotion) -> Promotion:
        """Looked at, when there are truths enough for the next look."""
        shadow = seen.shadow
        served = seen.predecessor if seen.state == "shadowing" else seen.candidate
        assert shadow is not None, "a promotion that is compared has two versions"
        assert served is not None, "a promotion that is compared has two versions"
        began = self._clock()
        if began < self._rests_until.get(seen.id, began):
            return seen
        which = (self._workload, seen.arm, shadow.bundle, served.bundle, seen.state_since)
        wanted = states.truths_wanted(self._config, seen)
        truths = 0 if wanted is None else self._answers.count(*which, limit=wanted)
        self._rests_until[seen.id] = self._clock() + _REST * (self._clock() - began)
        if wanted is None or truths < wanted:
            return self._change(seen, lambda row: states.time_is_up(self._config, row, truths, self._clock()))
        pairs = self._answers.pairs(*which, limit=wanted)
        of = self._evidence
        compare = of.of_challenger if seen.state == "shadowing" else of.of_promoted
        verdict = compare(states.interim_look_config(self._config, seen), pairs)
        return self._change(seen, lambda row: states.look(self._config, row, verdict, truths, self._clock()))

    def _change(self, seen: Promotion, act: Callable[[Promotion], Promotion]) -> Promotion:
        return seen if act(seen) == seen else self._rows.change(seen, act)


def _same(one: ArmVersion | None, other: ArmVersion | None) -> bool:
    """Whether both name the same version; it may be found at another place."""
    if one is None or other is None:
        return one is other
    return (one.model_version, one.bundle) == (other.model_version, other.bundle)


def _labels(promotion: Promotion) -> dict[str, str]:
    return {
        "workload": promotion.workload,
        "arm": promotion.arm,
        "promotion": promotion.id,
        "model_version": promotion.model_version,
    }
