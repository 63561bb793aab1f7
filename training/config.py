"""The `training` section of a workload's YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from features.old_spellings import respell_keys

DEFAULT_TRIALS = 4

# What counts alike in a fit.
Weigh = Literal["entities", "rows"]


class Shares(BaseModel):
    """Shares of the entities in each part of the data. They sum to 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train: float = Field(default=0.56, gt=0, description="to fit scalers and models")
    valid: float = Field(default=0.12, gt=0, description="to stop early and to choose parameters")
    calibrate: float = Field(default=0.16, gt=0, description="to set the bands")
    test: float = Field(default=0.16, gt=0, description="to report")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if abs(sum(self.as_tuple()) - 1) > 1e-9:
            raise ValueError(f"shares: got the sum {sum(self.as_tuple()):g}, expected 1")
        return self

    def as_tuple(self) -> tuple[float, float, float, float]:
        """Return the shares in the order of `split_by_group`."""
        return self.train, self.valid, self.calibrate, self.test


class RowsConfig(BaseModel):
    """Weights and selection of the rows that a fit sees; its evaluation does not change."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    every: int = Field(
        default=1,
        ge=1,
        description="of the rows of an entity, every n-th is learnt from: neighbours are alike",
    )
    weigh: Weigh = Field(default="entities", description="what counts alike: entities, or rows")


class TrainingConfig(BaseModel):
    """Settings of the training of a workload's models."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: dict[str, Any] = Field(description="`module` of training.sources, and the options of its source")
    families: tuple[str, ...] = Field(min_length=1, description="model families, one arm each")
    coverage: float = Field(default=0.9, gt=0, lt=1, description="share of truths that a band shall hold")
    seed: int = Field(default=0, ge=0, description="of the split, the search and the models")
    shares: Shares = Field(default=Shares(), description="how the data are partitioned")
    split: Literal["group", "time"] = Field(
        default="group",
        description="what is partitioned: entities, or spans of time with the last one to test",
    )
    baselines: tuple[str, ...] = Field(
        default=(), description="modules with a `BASELINE` that is fitted on the train part, for comparison"
    )
    workers: int = Field(
        default=1, ge=1, description="processes that fit each model together, for families of torch"
    )
    trials: dict[str, int] = Field(
        default_factory=dict, description=f"parameter sets tried, by family; {DEFAULT_TRIALS} where not given"
    )
    rows: RowsConfig = Field(default=RowsConfig(), description="rows that a fit sees")
    search: dict[str, dict[str, int | float | str | bool]] = Field(
        default_factory=dict, description="parameters that are not searched but fixed, by family and name"
    )

    @field_validator("search", mode="before")
    @classmethod
    def _respell(cls, search: Any) -> Any:
        if not isinstance(search, Mapping):
            return search
        return {
            family: respell_keys(f"training.search.{family}", fixed, {"unseen": "masked_features"})
            for family, fixed in search.items()
        }

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for family, trials in self.trials.items():
            if family not in self.families:
                raise ValueError(f"trials: got {family!r}, expected one of {list(self.families)}")
            if trials < 1:
                raise ValueError(f"trials.{family}: got {trials}, expected at least 1")
        for family in self.search:
            if family not in self.families:
                raise ValueError(f"search: got {family!r}, expected one of {list(self.families)}")
        return self

    def trials_of(self, family: str) -> int:
        """Parameter sets to try for this family."""
        return self.trials.get(family, DEFAULT_TRIALS)
