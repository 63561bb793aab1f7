"""Settings of the cache of answers."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class CacheSettings(BaseModel):
    """Settings of the cache: how many answers are kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_entries: int = Field(
        ge=1,
        le=1_000_000,
        description="answers that each router replica keeps; the ones not asked for longest go first",
    )
