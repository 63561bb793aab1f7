"""What becomes of a candidacy, as functions from value to value. Pure.

    begin           better in the shadow         it serves                  not worse
    -----> shadowing -----------> promoting -----------> probation ---------------------> kept
               |                      |                      |  worse
               | not shown better     | cannot serve         +----> rolling_back ------> rolled_back
               +--> rejected          +--------------------------------^

A person's wish goes from `asked` to `promoting`, and from there to `kept`. From every open state it is
`superseded` when somebody else moves the champion.

Each function is applied in a transaction on the row that is there, and what the new state asks for is done
afterwards, again and again until it is so. So a Steward that is killed anywhere goes on from the row.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from deployments.domain.promotion import Candidacy, Look, Phase, State
from deployments.domain.routing import ArmVersion
from training.runtime.promotion_config import LooksConfig, PromotionConfig

if TYPE_CHECKING:
    from training.retraining.gate import Verdict  # brings SciPy, and the store of every replica knows states

# A version that every replica has loaded comes into service within seconds.
_PROMOTION_TAKES = timedelta(minutes=10)


def begin(
    candidacy_id: str,
    workload: str,
    arm: str,
    candidate: ArmVersion,
    champion: ArmVersion | None,
    now: datetime,
) -> Candidacy:
    """A version that has passed the gate; where there is no champion it has nothing to prove."""
    return Candidacy(
        id=candidacy_id,
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
    candidacy_id: str, workload: str, arm: str, model_version: str, by: str, note: str, now: datetime
) -> Candidacy:
    """A person wants this version to serve."""
    return Candidacy(
        id=candidacy_id,
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
    candidacy: Candidacy, candidate: ArmVersion | None, champion: ArmVersion | None, now: datetime
) -> Candidacy:
    """The version that was asked for, if the registry has it."""
    if candidate is None:
        reason = f"The registry has no version {candidacy.model_version} of {candidacy.arm}."
        return _move(candidacy, "rejected", reason, now)
    known = candidacy.model_copy(update={"candidate": candidate, "predecessor": champion})
    return _move(known, "promoting", f"{candidacy.by} wants it.", now)


def looks_of(config: PromotionConfig, candidacy: Candidacy) -> LooksConfig:
    """Those of the present phase."""
    return config.shadow if candidacy.state == "shadowing" else config.probation


def truths_wanted(config: PromotionConfig, candidacy: Candidacy) -> int | None:
    """How many truths the next look takes; None when none is due any more."""
    looks = looks_of(config, candidacy)
    taken = candidacy.looks_taken
    return looks.truths_at(taken) if taken < looks.looks else None


def look(
    config: PromotionConfig, candidacy: Candidacy, verdict: Verdict, truths: int, now: datetime
) -> Candidacy:
    """The two were compared.

    Args:
        config: how often they are.
        candidacy: in the shadow, or on probation.
        verdict: whether the candidate is better (in the shadow), or not worse (on probation).
        truths: how many it rests on.
        now: the time.
    """
    phase: Phase = "shadowing" if candidacy.state == "shadowing" else "probation"
    taken = Look(
        phase=phase,
        at=now,
        truths=truths,
        passed=verdict.passed,
        reasons=verdict.reasons,
        numbers=verdict.numbers,
    )
    seen = candidacy.model_copy(update={"looks": (*candidacy.looks, taken)})
    was_last = truths_wanted(config, seen) is None
    reason = " ".join(verdict.reasons)
    if phase == "probation":
        if not verdict.passed:
            return _move(seen, "rolling_back", reason, now)
        return _move(seen, "kept", reason, now) if was_last else seen
    if verdict.passed and config.automatic:
        return _move(seen, "promoting", reason, now)
    return _move(seen, "rejected", reason, now) if was_last and not verdict.passed else seen


def time_is_up(config: PromotionConfig, candidacy: Candidacy, truths: int, now: datetime) -> Candidacy:
    """The same, or what it is when its state has lasted too long.

    Args:
        truths: of the present phase.
    """
    lasted = now - candidacy.state_since
    if candidacy.state == "promoting" and lasted > _PROMOTION_TAKES:
        return cannot_serve(candidacy, "It did not come into service.", now)
    if candidacy.state not in ("shadowing", "probation"):
        return candidacy
    allowed_h = looks_of(config, candidacy).at_most_h
    if lasted <= timedelta(hours=allowed_h):
        return candidacy
    told = f"{truths} truths in {allowed_h:g} h"
    if candidacy.state == "probation":
        return _move(candidacy, "kept", f"It was not shown to be worse: {told}.", now)
    if any(one.passed for one in candidacy.looks):
        return _move(candidacy, "rejected", f"Nobody promoted it within {allowed_h:g} h.", now)
    return _move(candidacy, "rejected", f"It was not shown to be better: {told}.", now)


def cannot_serve(candidacy: Candidacy, reason: str, now: datetime) -> Candidacy:
    """A replica refuses it. If it is the champion already, the version before comes back."""
    is_champion = candidacy.state == "promoting" and candidacy.predecessor is not None
    return _move(candidacy, "rolling_back" if is_champion else "rejected", reason, now)


def serves(candidacy: Candidacy, now: datetime) -> Candidacy:
    """The arm serves it now."""
    if candidacy.by_hand:
        return _move(candidacy, "kept", f"{candidacy.by} wanted it.", now)
    if candidacy.predecessor is None:
        return _move(candidacy, "kept", "There was no version before it.", now)
    return _move(candidacy, "probation", candidacy.reason or "", now)


def promote(candidacy: Candidacy, by: str, now: datetime) -> Candidacy:
    """A person wants it to serve without further proof."""
    return _move(candidacy, "promoting", f"{by} wants it.", now)


def roll_back(candidacy: Candidacy, by: str, now: datetime) -> Candidacy:
    """A person wants the version before back."""
    return _move(candidacy, "rolling_back", f"{by} wants the version before back.", now)


def rolled_back(candidacy: Candidacy, now: datetime) -> Candidacy:
    """The arm serves the version before again."""
    return _move(candidacy, "rolled_back", candidacy.reason or "", now)


def superseded(candidacy: Candidacy, reason: str, now: datetime) -> Candidacy:
    """Somebody else has moved the champion, or there is a newer challenger."""
    return _move(candidacy, "superseded", reason, now)


def _move(candidacy: Candidacy, state: State, reason: str, now: datetime) -> Candidacy:
    return candidacy.model_copy(update={"state": state, "reason": reason, "state_since": now})
