"""The `promotion` section of a workload's YAML file. A workload without one has the defaults."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class InterimLooksConfig(BaseModel):
    """Settings of the interim looks at two versions that answer the same requests.

    The first look is at `first_truths`, each later one when there are twice as many. Each has an equal part
    of the gate's `alpha`, so that all of them together mislead as seldom as one would.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    first_truths: int = Field(default=100, ge=8, description="truths of requests that both have answered")
    looks: int = Field(default=4, ge=1, le=12, description="how often they are compared at most")
    at_most_h: float = Field(default=24.0, gt=0, description="hours after which it ends, however few came")

    def truths_at(self, number: int) -> int:
        """Return how many truths interim look `number` (from 0) takes."""
        return self.first_truths << number


class PromotionConfig(BaseModel):
    """Settings of promotion and of the probation after it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    automatic: bool = Field(
        default=True,
        description="whether a challenger that proves itself in the shadow takes the champion's place; "
        "otherwise it waits there for POST /arms/{arm}/promote",
    )
    shadow: InterimLooksConfig = Field(
        default=InterimLooksConfig(), description="the challenger gets copies of requests"
    )
    probation: InterimLooksConfig = Field(
        default=InterimLooksConfig(first_truths=200),
        description="after the promotion the version before gets the copies",
    )
