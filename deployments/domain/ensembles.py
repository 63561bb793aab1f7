"""Settings of an ensemble, an arm that blends the predictions of other arms."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from deployments.domain.ids import Name

# truths that a window of shares may reach back
MOST_TRUTHS = 5000
# of a policy, and of an ensemble
MOST_ARMS = 64


class EnsembleSettings(BaseModel):
    """An arm without a model of its own: the mean of its members' predictions, by their last errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    arms: tuple[Name, ...] = Field(
        min_length=2, max_length=MOST_ARMS, description="its members, arms that have a model"
    )
    window: int = Field(
        default=500, ge=1, le=MOST_TRUTHS, description="the last truths of each member that its share is from"
    )
    min_truths: int = Field(
        default=30,
        ge=1,
        le=MOST_TRUTHS,
        description="truths that each member needs before the shares are no longer equal",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.arms)) < len(self.arms):
            raise ValueError(f"arms: got {list(self.arms)}, expected each arm once")
        if self.min_truths > self.window:
            raise ValueError(f"min_truths: got {self.min_truths}, expected at most window, {self.window}")
        return self
