"""The `retraining` section of a workload's YAML file. A workload without one has the defaults."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

FEWEST_BLOCKS = 4


class GateConfig(BaseModel):
    """Settings of the gate: what a challenger has to show."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alpha: float = Field(
        default=0.05, gt=0, le=0.083, description="how often a challenger that is no better may pass"
    )
    min_gain: float = Field(
        default=0.01, ge=0, lt=1, description="share of the champion's loss that it has to save"
    )
    blocks: int = Field(default=16, ge=FEWEST_BLOCKS, description="of consecutive truths at most")
    min_truths: int = Field(default=64, ge=FEWEST_BLOCKS, description="on fewer nothing is decided")
    coverage_slack: float = Field(
        default=0.02, ge=0, lt=1, description="how far its coverage may fall below what is asked of it"
    )
    max_latency_ratio: float = Field(default=2.0, ge=1, description="its latency over the champion's")
    unfelt_latency_s: float = Field(
        default=0.001, ge=0, description="a latency below this is no reason against it"
    )


class RetrainingConfig(BaseModel):
    """Settings of retraining: when, on which data, and what new models have to show."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    every_h: float | None = Field(
        default=24.0, gt=0, description="time after which stable data are learnt from too; null: never"
    )
    cooldown_min: float = Field(
        default=30.0, ge=0, description="from the end of a retraining to the next; not for one by hand"
    )
    min_truths: int = Field(
        default=256, ge=8, description="truths since the last retraining; by hand: in all"
    )
    max_truths: int = Field(default=20_000, ge=8, description="the newest that are learnt from")
    jobs_per_day: int = Field(default=6, ge=1, description="retrainings that start within 24 hours")
    trials: int | None = Field(
        default=None, ge=1, description="parameter sets of each family, instead of those of `training`"
    )
    attempts: int = Field(default=3, ge=1, description="jobs of a retraining, if one dies")
    journal_share: float = Field(
        default=0.8, gt=0, lt=1, description="weight of the truths of the journal beside the source"
    )
    held_out: float = Field(
        default=0.25, gt=0, lt=1, description="share of the truths, the newest, to evaluate on; at most"
    )
    gate: GateConfig = Field(default=GateConfig(), description="what a challenger has to show offline")
