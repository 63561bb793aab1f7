"""A promotion as a value: the row of the store, and the answer of `GET /promotions`."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from deployments.domain.routing import ArmVersion

Phase = Literal["shadowing", "probation"]
State = Literal[
    "asked",
    "shadowing",
    "promoting",
    "probation",
    "rolling_back",
    "aborting",
    "kept",
    "rejected",
    "rolled_back",
    "superseded",
    "aborted",
]

_ENDS = ("kept", "rejected", "rolled_back", "superseded", "aborted")


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InterimLook(_Value):
    """A comparison of the two versions on requests that both have answered."""

    phase: Phase
    at: AwareDatetime
    truths: int
    passed: bool = Field(description="in the shadow: better; on probation: not worse")
    reasons: tuple[str, ...]
    numbers: dict[str, float] = Field(description="the evidence")


class Promotion(_Value):
    """The way of one version that may take the place of an arm's champion.

    asked: somebody wants it promoted, and it is not found yet. shadowing: it gets copies of what the arm
    answers. promoting: it is about to take the place. probation: it serves, and the version before gets the
    copies. rolling_back: the version before is about to come back. aborting: the registry is about to name
    the version that serves. kept: it stays. rejected: it never served. rolled_back: the version before serves
    again. superseded: somebody else has moved the arm. aborted: it was ended where it was.
    """

    id: str
    workload: str
    arm: str
    state: State
    model_version: str
    candidate: ArmVersion | None = Field(description="null until it is found in the registry")
    predecessor: ArmVersion | None = Field(description="what the arm served when it began")
    by: str = Field(description="who asks: the gate, or a person through the API")
    note: str = Field(default="", description="why")
    created_at: AwareDatetime
    state_since: AwareDatetime
    looks: tuple[InterimLook, ...] = ()
    reason: str | None = Field(default=None, description="why it is in this state")

    @property
    def is_open(self) -> bool:
        """Return whether anything is still to be done."""
        return self.state not in _ENDS

    @property
    def by_hand(self) -> bool:
        """Return whether a person decided; what a person decided is not undone by itself."""
        return self.by != "gate"

    @property
    def shadow(self) -> ArmVersion | None:
        """The version that gets copies of the arm's requests now."""
        if self.state in ("shadowing", "promoting"):
            return None if self.by_hand else self.candidate
        return self.predecessor if self.state == "probation" else None

    @property
    def interim_looks(self) -> int:
        """The number of comparisons in the present phase."""
        return sum(look.phase == self.state for look in self.looks)
