"""The promotions of one workload: reads what decides about them, and acts on what was decided.

Every step is a row before it is an act. The decisions are in `promotion_decisions`; the reconciler brings the
champion of an arm to the replicas, and the version that gets copies of its requests.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from deployments.domain import promotion_transitions as transitions
from deployments.domain.errors import Conflict, Unavailable
from deployments.domain.promotion import Promotion
from deployments.domain.routing import ArmVersion
from deployments.lifecycle.observation import (
    Aliases,
    Comparison,
    OpenPromotions,
    Unreadable,
    VersionObservation,
)
from deployments.lifecycle.promotion_decisions import (
    BeginPromotion,
    ChangePromotion,
    DropChallenger,
    PromotionAction,
    decide_promotions,
)
from deployments.lifecycle.promotion_evidence import Evidence
from deployments.runtime.logs import RepeatedErrors
from deployments.store import Store
from training.runtime.promotion_config import PromotionConfig

log = logging.getLogger(__name__)

# Of the time that counting pairs takes, so many times as long passes until they are counted again: copies
# whose truth is late are walked past each time.
_REST = 20


class Versions(Protocol):
    """The registry of one workload; see `deployments.lifecycle.registry`."""

    def read(self) -> Aliases:
        """Return which versions have an alias now."""

    def find(self, arm: str, model_version: str) -> ArmVersion | Unreadable | None:
        """Return one version, if there is such a one."""

    def make_champion(self, arm: str, model_version: str) -> None:
        """Give it the alias, unless it is gone."""

    def drop_challenger(self, arm: str, model_version: str) -> None:
        """Take the alias from it, if it has it."""


class PromotionController:
    """A controller of the promotions of one workload. Synchronous; call it from a thread.

    Args:
        workload: its name.
        config: its section `promotion`.
        evidence: compares two versions.
        store: rows, and the answers of both versions.
        versions: the registry.
        clock: UTC time.
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
        self._workload = workload
        self._config = config
        self._evidence = evidence
        self._rows = store.promotions
        self._answers = store.shadows
        self._versions = versions
        self._clock = clock
        self._rests_until: dict[str, datetime] = {}
        self._finding = RepeatedErrors(log, "version not looked up", workload=workload)
        self._comparing = RepeatedErrors(log, "promotion not evaluated", workload=workload)

    def observe(self, aliases: Aliases) -> OpenPromotions:
        """Return the promotions under way with the evidence about them.

        Raises:
            StoreUnavailable: as for the store; what the registry raises comes through too.
        """
        there = tuple(self._rows.open(self._workload))
        challengers = {(arm, version.model_version) for arm, version in aliases.challengers.items()}
        return OpenPromotions(
            promotions=there,
            evaluated={one for one in challengers if self._rows.was_evaluated(self._workload, *one)},
            requested=self._find(one for one in there if one.state == "asked"),
            comparisons={one.id: found for one in there if (found := self._compare(one)) is not None},
        )

    def _find(self, requested: Iterable[Promotion]) -> dict[str, ArmVersion | Unreadable | None]:
        found: dict[str, ArmVersion | Unreadable | None] = {}
        for one in requested:
            try:
                found[one.id] = self._versions.find(one.arm, one.model_version)
            except Exception as error:  # noqa: BLE001 - one that cannot be looked up holds up no other
                self._finding.failed(error, **_labels(one))
            else:
                self._finding.passed()
        return found

    def reconcile(self, seen: VersionObservation) -> None:
        """Act on what is decided from this observation. Whoever else has moved a row is left in the right.

        Raises:
            StoreUnavailable: as for the store; what the registry raises comes through too.
        """
        for action in decide_promotions(self._config, seen):
            try:
                self._act(action)
            except Conflict as moved:
                log.info("%s", moved, extra={"workload": self._workload})

    def _act(self, action: PromotionAction) -> None:
        if isinstance(action, DropChallenger):
            self._versions.drop_challenger(action.arm, action.model_version)
        elif isinstance(action, BeginPromotion):
            begun = self._rows.begin(self._workload, action.arm, action.challenger, action.champion)
            log.info("promotion begun", extra=_labels(begun))
        elif isinstance(action, ChangePromotion):
            moved = self._rows.change(action.seen, lambda row: action.changed)
            if moved.state != action.seen.state:
                log.warning("promotion: %s. %s", moved.state, moved.reason, extra=_labels(moved))
        else:
            self._versions.make_champion(action.arm, action.model_version)

    def _compare(self, seen: Promotion) -> Comparison | None:
        """Compare the two versions of a promotion; None where that cannot be done, or not yet again."""
        began = self._clock()
        if seen.state not in ("shadowing", "probation") or began < self._rests_until.get(seen.id, began):
            return None
        try:
            compared = self._count_and_evaluate(seen, began)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - what cannot be evaluated holds up no other arm
            self._comparing.failed(error, **_labels(seen))
            return None
        self._comparing.passed()
        return compared

    def _count_and_evaluate(self, seen: Promotion, began: datetime) -> Comparison:
        """Evaluate the two versions when there are truths enough for the next interim look."""
        shadow = seen.shadow
        served = seen.predecessor if seen.state == "shadowing" else seen.candidate
        assert shadow is not None, "a promotion that is compared has two versions"
        assert served is not None, "a promotion that is compared has two versions"
        pairs = (self._workload, seen.arm, shadow.bundle, served.bundle, seen.state_since)
        wanted = transitions.truths_wanted(self._config, seen)
        truths = 0 if wanted is None else self._answers.count(*pairs, limit=wanted)
        self._rests_until[seen.id] = self._clock() + _REST * (self._clock() - began)
        if wanted is None or truths < wanted:
            return Comparison(truths)
        evidence, looks = self._evidence, transitions.interim_looks_config(self._config, seen)
        is_challenger = seen.state == "shadowing"
        evaluate = evidence.evaluate_challenger if is_challenger else evidence.evaluate_promoted
        return Comparison(truths, evaluate(looks, self._answers.pairs(*pairs, limit=wanted)))


def _labels(promotion: Promotion) -> dict[str, str]:
    return {
        "workload": promotion.workload,
        "arm": promotion.arm,
        "promotion": promotion.id,
        "model_version": promotion.model_version,
    }
