"""The page of `GET /monitor`, with the descriptions of its members."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from deployments.domain.drift_state import DriftState


class _Page(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)


class ValueBin(_Page):
    """A bin of the histogram of predictions."""

    from_: float = Field(alias="from")
    to: float
    count: int


class LagBin(_Page):
    """A bin of the histogram of feedback lags; it begins where the one before ends."""

    up_to_s: float | None = Field(description="null in the last one, which has no end")
    count: int


class ArmWindow(_Page):
    """The metrics of one arm over one window, by the time of its predictions."""

    predictions: int = Field(description="answers")
    truths: int = Field(description="of them, those whose truth has come")
    truth_share: float | None = Field(description="truths over predictions")
    metrics: dict[str, float] = Field(
        description="of those with a truth: the task's errors, coverage, nominal coverage, size of regions"
    )
    mean_prediction: float | None = Field(
        description="mean of the predicted number, of the positive class's probability, or of the altitude "
        "at the end of a path"
    )
    histogram: list[ValueBin] = Field(description="of the same numbers; ten bins a decade")
    fallback_share: float | None = Field(description="answers in place of an arm that failed")
    outlier_share: float | None = Field(description="answers about instances farther out than all training")
    mean_lag_s: float | None = Field(description="from answer to truth")
    lag: list[LagBin] = Field(description="from answer to truth, histogram")


class TruthCounts(_Page):
    """The outcomes of truths over one window."""

    joined: int = Field(description="first truths of predictions of the window")
    late: int = Field(description="of them, those that took longer than `late_after_s`")
    early: int = Field(description="of them, those that were received before the answer was given")
    repeated: int = Field(description="later truths of an id that are the same; they change nothing")
    conflicting: int = Field(description="later truths of an id that differ; the first stands")


class Window(_Page):
    """The metrics of all arms over one window."""

    window_s: float
    arms: dict[str, ArmWindow]
    truths: TruthCounts


class DetectorState(_Page):
    """The state of one detector."""

    kind: str = Field(description="input, quality, concept or calibration")
    subject: str = Field(description="the arm that it is about; empty where it is about all")
    state: DriftState = Field(
        description="drifting, ok, or insufficient_data while there are too few records to tell"
    )
    since: datetime | None = Field(description="of the last change")
    score: float | None = Field(description="at 1 and above it would be drifting")
    reason: str = Field(description="of the last change")
    evidence: dict[str, Any] = Field(description="the numbers of the last evaluation")


class LevelState(_Page):
    """The adaptive level of an arm's regions."""

    nominal: float = Field(description="share of truths that regions shall hold")
    level: float = Field(description="coverage at which they have to be made now, so that they hold it")
    served: bool = Field(description="whether the arm makes them at it; at the nominal one otherwise")
    truths: int = Field(description="truths that have moved the level")


class MonitorPage(_Page):
    """The last results of the Monitor for a workload."""

    workload: str
    at: datetime = Field(description="time of the evaluation; where it is minutes ago, the Monitor is down")
    up_to_date: bool = Field(description="whether all of the journal was read by then")
    windows: dict[str, Window] = Field(description="by length")
    drift: list[DetectorState]
    levels: dict[str, LevelState] = Field(description="by arm")
