"""Settings and states of a circuit breaker."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

State = Literal["closed", "open", "half_open"]


class BreakerSettings(BaseModel):
    """Settings of when a breaker opens and how it closes again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    failures_to_open: int = Field(
        default=5, ge=1, le=1_000_000, description="consecutive failures after which it opens"
    )
    open_s: float = Field(
        default=5.0, gt=0, le=31_536_000, description="seconds for which an open breaker lets nothing pass"
    )
    half_open_probes: int = Field(
        default=1,
        ge=1,
        le=1_000_000,
        description="calls let through after open_s; it closes when so many have succeeded",
    )
