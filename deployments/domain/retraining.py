"""A retraining as a value: the row of the store, and the answer of `GET /retrainings/{id}`."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from training.runtime.journal_query import JournalQuery

Reason = Literal["drift", "schedule", "by hand"]
State = Literal["waiting", "submitting", "running", "done", "failed"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Request(_Value):
    """A request for a retraining, with its reason."""

    reason: Reason
    at: AwareDatetime
    by: str = Field(description="who asks")
    note: str = Field(default="", description="what made them ask")
    since: AwareDatetime | None = Field(
        default=None, description="when the world changed: predictions made earlier are not learnt from"
    )
    event: int | None = Field(default=None, description="cursor of the drift event that asks")


class Attempt(_Value):
    """A job of a retraining."""

    job: str = Field(description="submission id of the Ray Job")
    at: AwareDatetime
    end: str | None = Field(default=None, description="how it ended; null while it runs")


class ArmResult(_Value):
    """The result of a retraining for one arm."""

    model_version: str
    bundle: str
    passed: bool = Field(description="whether it has the alias `challenger` now, or is archived")
    reasons: tuple[str, ...]
    numbers: dict[str, float] = Field(description="the evidence of the gate")


class Retraining(_Value):
    """A retraining of a workload, from the first request to the verdicts.

    waiting: a condition does not hold yet. submitting: a job is about to be handed to Ray. running: Ray has
    it. done: every arm has a verdict. failed: all attempts died, or there was nothing to learn from.
    """

    id: str
    workload: str
    state: State
    requests: tuple[Request, ...] = Field(
        description="the first is the cause, later ones were merged into it"
    )
    more_requests: int = Field(
        default=0, description="requests that were merged too, and of which only the number is kept"
    )
    waits_for: str | None = Field(default=None, description="why it does not start yet")
    created_at: AwareDatetime
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    attempts: tuple[Attempt, ...] = ()
    query: JournalQuery | None = Field(
        default=None, description="the pairs that it learns from, and is evaluated on"
    )
    data_hash: str | None = Field(default=None, description="sha256 over those pairs")
    arms: dict[str, ArmResult] = Field(default_factory=dict)
    failure: str | None = None

    @property
    def is_open(self) -> bool:
        """Return whether anything is still to be done."""
        return self.state not in ("done", "failed")

    @property
    def since(self) -> AwareDatetime | None:
        """The latest moment at which the world changed, of those that its requests name."""
        return max((request.since for request in self.requests if request.since), default=None)
