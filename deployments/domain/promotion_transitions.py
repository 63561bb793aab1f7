"""The steps of a promotion, as functions from value to value. Pure.

    begin           better in the shadow         it serves                  not worse
    -----> shadowing -----------> promoting -----------> probation ---------------------> kept
               |                      |                      |  worse
               | not shown better     | cannot serve         +----> rolling_back ------> rolled_back
               +--> rejected          +--------------------------------^

The request of a person goes from `asked` to `promoting`, and from there to `kept`. From every open state it
is `superseded` when somebody else moves the champion.

No state lasts for ever, and a person may end each of them. What serves at that moment goes on: where an alias
may have been moved, the way to `aborted` leads over `aborting`, in which the registry comes to name it.

`deployments.lifecycle.promotion_decisions` says when each is taken. The result is written in a transaction,
if the row is still where it was, and what the new state asks for is done afterwards, again and again until it
is so. A lifecycle controller that is killed anywhere goes on from the row.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from deployments.domain.promotion import InterimLook, Phase, Promotion, State
from deployments.domain.routing import ArmVersion
from training.runtime.promotion_config import InterimLooksConfig, PromotionConfig

if TYPE_CHECKING:
    from training.retraining.gate import Verdict  # brings SciPy; every replica's store imports this module

# A version that every replica has loaded comes into service within seconds, and an alias is set in one.
STEP_TAKES = timedelta(minutes=10)
# Truths are counted again after a rest.
_COUNTED_WITHIN = timedelta(hours=1)


def begin(
    promotion_id: str,
    workload: str,
    arm: str,
    candidate: ArmVersion,
    champion: ArmVersion | None,
    now: datetime,
) -> Promotion:
    """Return the promotion of a version that passed the gate; without a champion it has nothing to prove."""
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


def request(
    promotion_id: str, workload: str, arm: str, model_version: str, by: str, note: str, now: datetime
) -> Promotion:
    """Return the promotion of a version that a person wants to serve."""
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
    """Go on with the version that was asked for, if the registry has it."""
    if candidate is None:
        reason = f"The registry has no version {promotion.model_version} of {promotion.arm}."
        return _move(promotion, "rejected", reason, now)
    known = promotion.model_copy(update={"candidate": candidate, "predecessor": champion})
    return _move(known, "promoting", f"{promotion.by} wants it.", now)


def unreadable(promotion: Promotion, why: str, now: datetime) -> Promotion:
    """End the promotion of a version that the registry has, and whose bundle cannot be read."""
    reason = f"Version {promotion.model_version} of {promotion.arm} cannot be read: {why}"
    return _move(promotion, "rejected", reason, now)


def interim_looks_config(config: PromotionConfig, promotion: Promotion) -> InterimLooksConfig:
    """Return the interim looks of the present phase."""
    return config.shadow if promotion.state == "shadowing" else config.probation


def truths_wanted(config: PromotionConfig, promotion: Promotion) -> int | None:
    """Return how many truths the next interim look takes; None when none is due any more."""
    looks = interim_looks_config(config, promotion)
    taken = promotion.interim_looks
    return looks.truths_at(taken) if taken < looks.looks else None


def record_interim_look(
    config: PromotionConfig, promotion: Promotion, verdict: Verdict, truths: int, now: datetime
) -> Promotion:
    """Record an interim look: the two versions were compared.

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


def time_is_up(config: PromotionConfig, promotion: Promotion, truths: int | None, now: datetime) -> Promotion:
    """End a state that has lasted too long; return any other promotion as it is.

    Args:
        config: how long the shadow and the probation may last.
        promotion: in any state.
        truths: of the present phase; None while they are not counted.
        now: the time.
    """
    lasted = now - promotion.state_since
    if promotion.state in ("asked", "promoting", "rolling_back", "aborting") and lasted > STEP_TAKES:
        return _give_up_step(promotion, now)
    if promotion.state not in ("shadowing", "probation"):
        return promotion
    allowed_h = interim_looks_config(config, promotion).at_most_h
    if lasted <= timedelta(hours=allowed_h) + (_COUNTED_WITHIN if truths is None else timedelta()):
        return promotion
    evidence = "its answers could not be compared" if truths is None else f"{truths} truths"
    evidence = f"{evidence} in {allowed_h:g} h"
    if promotion.state == "probation":
        return _move(promotion, "kept", f"It was not shown to be worse: {evidence}.", now)
    if any(one.passed for one in promotion.looks):
        return _move(promotion, "rejected", f"Nobody promoted it within {allowed_h:g} h.", now)
    return _move(promotion, "rejected", f"It was not shown to be better: {evidence}.", now)


def _give_up_step(promotion: Promotion, now: datetime) -> Promotion:
    if promotion.state == "asked":
        return _move(promotion, "rejected", "The registry could not be asked for it.", now)
    if promotion.state == "promoting":
        return cannot_serve(promotion, "It did not come into service.", now)
    if promotion.state == "rolling_back":
        return give_up(promotion, "The version before did not come into service.", now)
    reason = f"{promotion.reason or ''} The registry could not be brought to name what serves.".strip()
    return _move(promotion, "aborted", reason, now)


def cannot_serve(promotion: Promotion, reason: str, now: datetime) -> Promotion:
    """End one that a replica refuses. If it is the champion already, the version before comes back."""
    if promotion.state != "promoting" or promotion.predecessor is None:
        return _move(promotion, "rejected", reason, now)
    if promotion.candidate is not None and promotion.predecessor.bundle == promotion.candidate.bundle:
        return give_up(promotion, f"{reason} It is the version before, too.", now)
    return _move(promotion, "rolling_back", reason, now)


def give_up(promotion: Promotion, reason: str, now: datetime) -> Promotion:
    """Leave the arm at what it serves, whatever the registry names."""
    return _move(promotion, "aborting", reason, now)


def abort(promotion: Promotion, by: str, now: datetime) -> Promotion:
    """End one where it is, as a person wants it; the arm goes on with what it serves."""
    reason = f"{by} aborted it while it was {promotion.state}."
    may_have_moved = promotion.state in ("promoting", "rolling_back", "aborting")
    return _move(promotion, "aborting" if may_have_moved else "aborted", reason, now)


def aborted(promotion: Promotion, now: datetime) -> Promotion:
    """End one whose arm serves what the registry names."""
    return _move(promotion, "aborted", promotion.reason or "", now)


def serves(promotion: Promotion, now: datetime) -> Promotion:
    """Go on with one that the arm serves now."""
    if promotion.by_hand:
        return _move(promotion, "kept", f"{promotion.by} wanted it.", now)
    if promotion.predecessor is None:
        return _move(promotion, "kept", "There was no version before it.", now)
    return _move(promotion, "probation", promotion.reason or "", now)


def promote(promotion: Promotion, by: str, now: datetime) -> Promotion:
    """Have it serve without further proof, as a person wants it."""
    return _move(promotion, "promoting", f"{by} wants it.", now)


def roll_back(promotion: Promotion, by: str, now: datetime) -> Promotion:
    """Have the version before back, as a person wants it."""
    return _move(promotion, "rolling_back", f"{by} wants the version before back.", now)


def rolled_back(promotion: Promotion, now: datetime) -> Promotion:
    """End one whose arm serves the version before again."""
    return _move(promotion, "rolled_back", promotion.reason or "", now)


def superseded(promotion: Promotion, reason: str, now: datetime) -> Promotion:
    """End one whose champion somebody else has moved, or to which there is a newer challenger."""
    return _move(promotion, "superseded", reason, now)


def _move(promotion: Promotion, state: State, reason: str, now: datetime) -> Promotion:
    return promotion.model_copy(update={"state": state, "reason": reason, "state_since": now})
