"""The section `monitoring` of a workload's YAML file. Every member has a default, so it may be left out."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from deployments.monitoring.buckets import TIERS
from features.old_spellings import respell_keys


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HysteresisSettings(_Settings):
    """The rule by which a detector changes its state. A score of 1 is the limit of each detector."""

    leave: float = Field(default=0.7, gt=0, lt=1, description="a score below it counts towards ok")
    confirm: int = Field(default=2, ge=1, description="scores in a row at 1 or above until it is drifting")
    settle: int = Field(default=6, ge=1, description="scores in a row below `leave` until it is ok again")


class InputSettings(_Settings):
    """The limits of the input drift detector."""

    against: Literal["reference", "before"] = Field(
        default="reference",
        description="what the window is measured from: the reference of the bundle, or, where the data "
        "change with the seasons by nature, the live data of the day before it",
    )
    threshold: float = Field(
        default=0.2,
        gt=0,
        description="Wasserstein distance of one feature, in standard deviations of the reference, that is "
        "too much however many rows there are; few rows need more",
    )
    min_rows: int = Field(default=200, ge=10, description="rows that the window needs at least")
    ignore: tuple[str, ...] = Field(
        default=(),
        description="features that move without harm, such as the season; `a_*` are all that begin so",
    )
    rows_per_entity: float | None = Field(
        default=None,
        gt=0,
        description="rows of one entity resemble each other: all of its rows in the window count as so many; "
        "null where each counts for itself",
    )
    most_rows_per_s: float = Field(
        default=50.0, gt=0, description="rows evaluated; later ones are passed over"
    )


class QualitySettings(_Settings):
    """The limits of the quality detector: shares of rejected requests, and of missing and filled fields."""

    change: float = Field(
        default=0.1, gt=0, lt=1, description="a change that is accepted, however certain it is"
    )
    z: float = Field(default=5.0, gt=0, description="standard errors on top of it")
    min_rows: int = Field(default=200, ge=10, description="needed in the window, and before it")


class ConceptSettings(_Settings):
    """The limits of the concept drift detector: ADWIN and Page-Hinkley over mean losses of batches."""

    batch: int = Field(default=20, ge=1, description="truths whose mean loss is one step of the detectors")
    warmup_batches: int = Field(default=50, ge=10, description="batches of the baseline of a bundle")
    slack: float = Field(
        default=0.5, gt=0, description="rise in standard deviations of batch means that is accepted"
    )
    least_rise: float = Field(
        default=0.1, ge=0, description="rise as a share of the normal loss that is accepted"
    )
    threshold: float = Field(
        default=25.0, gt=0, description="Page-Hinkley: sum of what is above, in the same unit as `slack`"
    )
    delta: float = Field(default=1e-9, gt=0, lt=1, description="ADWIN: confidence")
    settle_batches: int = Field(default=15, ge=2, description="batches whose mean decides whether it is over")


class CalibrationSettings(_Settings):
    """The limits of the calibration detector: the coverage of an arm's regions, against the nominal one."""

    tolerance: float = Field(default=0.05, gt=0, lt=1, description="a deviation that is accepted")
    z: float = Field(default=4.0, gt=0, description="standard errors on top of it")
    min_truths: int = Field(default=200, ge=10, description="truths that the window needs at least")


class MonitoringSettings(_Settings):
    """The monitoring of a workload."""

    windows_s: tuple[float, ...] = Field(
        default=(300.0, 3600.0, 86_400.0),
        min_length=1,
        description="rolling windows that are shown",
    )
    detection_windows_s: tuple[float, ...] = Field(
        default=(60.0, 300.0),
        min_length=1,
        description="windows that the detectors evaluate; the one with the highest score counts",
    )
    check_period_s: float = Field(default=5.0, gt=0, description="between two evaluations of the detectors")
    late_after_s: float = Field(default=3600.0, gt=0, description="a truth that takes longer is late")
    report_period_s: float = Field(
        default=600.0, gt=0, description="between two reports while nothing happens"
    )
    level_step: float = Field(
        default=0.01, gt=0, lt=1, description="how far a truth moves the adaptive level of the regions"
    )
    serve_levels: bool = Field(
        default=True,
        description="whether arms make their regions at the adaptive level; at the nominal one otherwise",
    )
    hysteresis: HysteresisSettings = Field(
        default=HysteresisSettings(), description="when a detector changes its state"
    )
    input: InputSettings = Field(default=InputSettings(), description="drift of the features")
    quality: QualitySettings = Field(default=QualitySettings(), description="quality of the data")
    concept: ConceptSettings = Field(default=ConceptSettings(), description="rise of the loss of an arm")
    calibration: CalibrationSettings = Field(
        default=CalibrationSettings(), description="coverage of the regions"
    )

    @model_validator(mode="before")
    @classmethod
    def _respell(cls, values: Any) -> Any:
        return respell_keys("monitoring", values, {"looks_s": "detection_windows_s"})

    @model_validator(mode="after")
    def _check_windows(self) -> Self:
        for name, longest_s in (("windows_s", TIERS[-1].span_s), ("detection_windows_s", TIERS[0].span_s)):
            windows_s: tuple[float, ...] = getattr(self, name)
            for window_s in windows_s:
                if not 0 < window_s <= longest_s:
                    raise ValueError(f"{name}: got {window_s:g}, expected seconds in (0, {longest_s:g}]")
            if len(set(windows_s)) < len(windows_s):
                raise ValueError(f"{name}: got {list(windows_s)}, expected each once")
        return self
