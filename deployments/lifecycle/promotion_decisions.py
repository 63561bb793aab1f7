"""Decides about promotions: who begins one, and what each that is under way does next. Pure.

The steps themselves are `deployments.domain.promotion_transitions`. Here is when each of them is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from deployments.domain import promotion_transitions as transitions
from deployments.domain.promotion import Promotion
from deployments.domain.routing import ArmVersion
from deployments.lifecycle.observation import OpenPromotions, Unreadable, VersionObservation
from training.runtime.promotion_config import PromotionConfig


@dataclass(frozen=True)
class BeginPromotion:
    """A challenger is to prove itself against the champion of its arm."""

    arm: str
    challenger: ArmVersion
    champion: ArmVersion | None
    reason: str


@dataclass(frozen=True)
class DropChallenger:
    """A version loses the alias `challenger`."""

    arm: str
    model_version: str
    reason: str


@dataclass(frozen=True)
class ChangePromotion:
    """The row of a promotion moves from `seen` to `changed`."""

    seen: Promotion
    changed: Promotion

    @property
    def reason(self) -> str:
        """Reason for the state that it moves to."""
        return self.changed.reason or ""


@dataclass(frozen=True)
class MakeChampion:
    """A version gets the alias `champion`; the reconciler brings it into service in a later round."""

    arm: str
    model_version: str
    reason: str


PromotionAction = BeginPromotion | DropChallenger | ChangePromotion | MakeChampion


def decide_promotions(config: PromotionConfig, seen: VersionObservation) -> tuple[PromotionAction, ...]:
    """Return what is to be done about the promotions of a workload, in order.

    Promotions that begin come first; they take their first step in the next round.
    """
    there = seen.promotions
    if there is None:
        return ()
    moved = (_advance(config, seen, there, one) for one in there.promotions)
    return (*_begin(seen, there), *(action for actions in moved for action in actions))


def _begin(seen: VersionObservation, there: OpenPromotions) -> Iterator[PromotionAction]:
    """Begin a promotion of every challenger that has had none; the alias of others is old."""
    busy = {one.arm for one in there.promotions}
    for arm, challenger in seen.aliases.challengers.items():
        champion = seen.aliases.champions.get(arm)
        if _is_same(challenger, champion):
            yield DropChallenger(arm, challenger.model_version, "It is the champion.")
        elif (arm, challenger.model_version) in there.evaluated:
            yield DropChallenger(arm, challenger.model_version, "Its promotion has ended.")
        elif arm not in busy and _is_same(champion, seen.serving.get(arm)):
            # while the champion is on its way, nobody can be compared with it
            yield BeginPromotion(arm, challenger, champion, "It passed the gate.")


def _advance(
    config: PromotionConfig, seen: VersionObservation, there: OpenPromotions, promotion: Promotion
) -> list[PromotionAction]:
    """Take the next step of one promotion; none where it waits."""
    if promotion.state == "asked":
        if promotion.id not in there.requested:
            return _change(promotion, transitions.time_is_up(config, promotion, 0, seen.now))
        requested, champion = there.requested[promotion.id], seen.aliases.champions.get(promotion.arm)
        if isinstance(requested, Unreadable):
            return _change(promotion, transitions.unreadable(promotion, requested.reason, seen.now))
        return _change(promotion, transitions.found(promotion, requested, champion, seen.now))
    if (overtaken := _overtaken(seen, promotion)) is not None:
        return _change(promotion, overtaken)
    if promotion.state == "aborting":
        return _settle(config, seen, promotion)
    candidate = promotion.candidate
    assert candidate is not None, "it was found"
    if candidate.bundle in seen.refused and promotion.state in ("shadowing", "promoting"):
        reason = f"Replicas refuse it: {seen.refused[candidate.bundle]}"
        return _change(promotion, transitions.cannot_serve(promotion, reason, seen.now))
    if promotion.state == "promoting":
        return _bring(config, seen, promotion, candidate, transitions.serves)
    if promotion.state == "rolling_back":
        assert promotion.predecessor is not None, "there is one to go back to"
        if (why := seen.refused.get(promotion.predecessor.bundle)) is not None:
            reason = f"Replicas refuse the version before: {why}"
            return _change(promotion, transitions.give_up(promotion, reason, seen.now))
        return _bring(config, seen, promotion, promotion.predecessor, transitions.rolled_back)
    return _compare(config, there, promotion, seen.now)


def _overtaken(seen: VersionObservation, promotion: Promotion) -> Promotion | None:
    """Return it moved on where somebody else has set an alias of its arm; None where nobody has."""
    champion = seen.aliases.champions.get(promotion.arm)
    challenger = seen.aliases.challengers.get(promotion.arm)
    if promotion.arm in seen.aliases.unreadable or promotion.state == "aborting":
        return None  # nobody knows what was made the champion, or it is about to be what serves
    if promotion.state == "shadowing":
        if _is_same(champion, promotion.candidate):
            return transitions.promote(promotion, "the registry", seen.now)
        if challenger is not None and not _is_same(challenger, promotion.candidate):
            reason = f"There is a newer challenger, version {challenger.model_version}."
            return transitions.superseded(promotion, reason, seen.now)
    if _is_same(champion, promotion.candidate) and promotion.state != "shadowing":
        return None
    if _is_same(champion, promotion.predecessor) and promotion.state != "probation":
        return None
    version = "no version" if champion is None else f"version {champion.model_version}"
    return transitions.superseded(promotion, f"Somebody else made {version} the champion.", seen.now)


def _settle(config: PromotionConfig, seen: VersionObservation, promotion: Promotion) -> list[PromotionAction]:
    """Have the registry name what the arm serves, and end it."""
    serving = seen.serving.get(promotion.arm)
    if serving is None or _is_same(seen.aliases.champions.get(promotion.arm), serving):
        return _change(promotion, transitions.aborted(promotion, seen.now))
    late = _change(promotion, transitions.time_is_up(config, promotion, 0, seen.now))
    return [MakeChampion(promotion.arm, serving.model_version, promotion.reason or ""), *late]


def _bring(
    config: PromotionConfig,
    seen: VersionObservation,
    promotion: Promotion,
    version: ArmVersion,
    arrived: Callable[[Promotion, datetime], Promotion],
) -> list[PromotionAction]:
    """Have the arm serve this version: first in the registry, then in the routing table."""
    late = _change(promotion, transitions.time_is_up(config, promotion, 0, seen.now))
    if not _is_same(seen.aliases.champions.get(promotion.arm), version):
        return [MakeChampion(promotion.arm, version.model_version, promotion.reason or ""), *late]
    if _is_same(seen.serving.get(promotion.arm), version):
        return _change(promotion, arrived(promotion, seen.now))
    return late


def _compare(
    config: PromotionConfig, there: OpenPromotions, promotion: Promotion, now: datetime
) -> list[PromotionAction]:
    """Take the interim look, if it was due; end what has lasted too long."""
    compared = there.comparisons.get(promotion.id)
    if compared is None:
        return _change(promotion, transitions.time_is_up(config, promotion, None, now))
    if compared.verdict is None:
        return _change(promotion, transitions.time_is_up(config, promotion, compared.truths, now))
    return _change(
        promotion, transitions.record_interim_look(config, promotion, compared.verdict, compared.truths, now)
    )


def _change(seen: Promotion, changed: Promotion) -> list[PromotionAction]:
    return [] if changed == seen else [ChangePromotion(seen, changed)]


def _is_same(one: ArmVersion | None, other: ArmVersion | None) -> bool:
    """Return whether both name the same version; it may be found at another place."""
    if one is None or other is None:
        return one is other
    return (one.model_version, one.bundle) == (other.model_version, other.bundle)
