"""What becomes of a promotion, as functions from value to value. Pure.

    begin           better in the shadow         it serves                  not worse
    -----> shadowing -----------> promoting -----------> probation ---------------------> kept
               |                      |                      |  worse
               | not shown better     | cannot serve         +----> rolling_back ------> rolled_back
               +--> rejected          +--------------------------------^

A person's wish goes from `asked` to `promoting`, and from there to `kept`. From every open state it is
`superseded` when somebody else moves the champion.

Each function is applied in a transaction on the row that is there, and what the new state asks for is done
afterwards, again and again until it is so. A lifecycle controller that is killed anywhere goes on
from the row.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from deployments.domain.promotion import InterimLook, Phase, Promotion, State
from deployments.domain.routing import ArmVersion
from training.runtime.promotion_config import LooksConfig, PromotionConfig

if TYPE_CHECKING:
    from training.retraining.gate import Verdict  # brings SciPy, and the store of every replica knows states

# A version that every replica has loaded comes into service within seconds.
_PROMOTION_TAKES = timedelta(minutes=10)


def begin(
    promotion_id: str,
    workload: str,
    arm: str,
    candidate: ArmVersion,
    champion: ArmVersion | None,
    now: datetime,
) -> Promotion:
    """A version that has passed the gate; where there is no champion it has nothing to prove."""
    return Promotion(
        id=promotion_id,
        workload=workload,
        arm=arm,
        state="promoting" if champion is None else "shadowing",
        model_version=candidate.model_version,
        candidate=candidate,
        predecessor=champion,
        by="gate",
        created_at=now,
        state_since=now,
        reason="It passed the gate.",
    )


def ask(
    promotion_id: str, workload: str, arm: str, model_version: str, by: str, note: str, now: datetime
) -> Promotion:
    """A person wants this version to serve."""
    return Promotion(
        id=promotion_id,
        workload=workload,
        arm=arm,
        state="asked",
        model_version=model_version,
        candidate=None,
        predecessor=None,
        by=by,
        note=note,
        created_at=now,
        state_since=now,
    )


def found(
    promotion: Promotion, candidate: ArmVersion | None, champion: ArmVersion | None, now: datetime
) -> Promotion:
    """The version that was asked for, if the registry has it."""
    if candidate is None:
        reason = f"The registry has no version {promotion.model_version} of {promotion.arm}."
        return _move(promotion, "rejected", reason, now)
    known = promotion.model_copy(update={"candidate": candidate, "predecessor": champion})
    return _move(known, "promoting", f"{promotion.by} wants it.", now)


def interim_look_config(config: PromotionConfig, promotion: Promotion) -> LooksConfig:
    """Those of the present phase."""
    return config.shadow if promotion.state == "shadowing" else config.probation


def truths_wanted(config: PromotionConfig, promotion: Promotion) -> int | None:
    """How many truths the next look takes; None when none is due any more."""
    looks = interim_look_config(config, promotion)
    taken = promotion.interim_looks
    return looks.truths_at(taken) if taken < looks.looks else None


def look(
    config: PromotionConfig, promotion: Promotion, verdict: Verdict, truths: int, now: datetime
) -> Promotion:
    """The two were compared.

    Args:
        config: how often they are.
        promotion: in the shadow, or on probation.
        verdict: whether the candidate is better (in the shadow), or not worse (on probation).
        truths: how many it rests on.
        now: the time.
    """
    phase: Phase = "shadowing" if promotion.state == "shadowing" else "probation"
    taken = InterimLook(
        phase=phase,
        at=now,
        truths=truths,
        passed=verdict.passed,
        reasons=verdict.reasons,
        numbers=verdict.numbers,
    )
    seen = promotion.model_copy(update={"looks": (*promotion.looks, taken)})
    was_last = truths_wanted(config, seen) is None
    reason = " ".join(verdict.reasons)
    if phase == "probation":
        if not verdict.passed:
            return _move(seen, "rolling_back", reason, now)
        return _move(seen, "kept", reason, now) if was_last else seen
    if verdict.passed and config.automatic:
        return _move(seen, "promoting", reason, now)
    return _move(seen, "rejected", reason, now) if was_last and not verdict.passed else seen


def time_is_up(config: PromotionConfig, promotion: Promotion, truths: int, now: datetime) -> Promotion:
    """The same, or what it is when its state has lasted too long.

    Args:
        truths: of the present phase.
    """
    lasted = now - promotion.state_since
    if promotion.state == "promoting" and lasted > _PROMOTION_TAKES:
        return cannot_serve(promotion, "It did not come into service.", now)
    if promotion.state not in ("shadowing", "probation"):
        return promotion
    allowed_h = interim_look_config(config, promotion).at_most_h
    if lasted <= timedelta(hours=allowed_h):
        return promotion
    told = f"{truths} truths in {allowed_h:g} h"
    if promotion.state == "probation":
        return _move(promotion, "kept", f"It was not shown to be worse: {told}.", now)
    if any(one.passed for one in promotion.looks):
        return _move(promotion, "rejected", f"Nobody promoted it within {allowed_h:g} h.", now)
    return _move(promotion, "rejected", f"It was not shown to be better: {told}.", now)


def cannot_serve(promotion: Promotion, reason: str, now: datetime) -> Promotion:
    """A replica refuses it. If it is the champion already, the version before comes back."""
    is_champion = promotion.state == "promoting" and promotion.predecessor is not None
    return _move(promotion, "rolling_back" if is_champion else "rejected", reason, now)


def serves(promotion: Promotion, now: datetime) -> Promotion:
    """The arm serves it now."""
    if promotion.by_hand:
        return _move(promotion, "kept", f"{promotion.by} wanted it.", now)
    if promotion.predecessor is None:
        return _move(promotion, "kept", "There was no version before it.", now)
    return _move(promotion, "probation", promotion.reason or "", now)


def promote(promotion: Promotion, by: str, now: datetime) -> Promotion:
    """A person wants it to serve without further proof."""
    return _move(promotion, "promoting", f"{by} wants it.", now)


def roll_back(promotion: Promotion, by: str, now: datetime) -> Promotion:
    """A person wants the version before back."""
    return _move(promotion, "rolling_back", f"{by} wants the version before back.", now)


def rolled_back(promotion: Promotion, now: datetime) -> Promotion:
    """The arm serves the version before again."""
    return _move(promotion, "rolled_back", promotion.reason or "", now)


def superseded(promotion: Promotion, reason: str, now: datetime) -> Promotion:
    """Somebody else has moved the champion, or there is a newer challenger."""
    return _move(promotion, "superseded", reason, now)


def _move(promotion: Promotion, state: State, reason: str, now: datetime) -> Promotion:
    return promotion.model_copy(update={"state": state, "reason": reason, "state_since": now})
