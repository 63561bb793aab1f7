"""The window of a contract: how many samples, of how long, a model sees. It has one of two forms.

`GridWindow` is for what is measured often or at a rate that a model must not depend on; `PointWindow` for
tracks whose points come one by one, seconds apart.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

# Rounding of times, in grid steps: 1e-9 s at 20 Hz, and more than Unix seconds lose at a sample an hour.
ROUNDING_STEPS = 2e-8


class _Window(BaseModel):
    """The common members of both forms of windows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    time: str = Field(description="the field that holds the time in seconds")
    max_gap_s: float = Field(gt=0, description="two samples further apart than this break a window")
    max_samples: int = Field(default=4096, gt=1, description="most samples in one instance")
    keep_history: bool = Field(
        default=False,
        description="whether samples are kept, so that a later instance may bring only new ones",
    )

    @property
    def _now_or_before(self) -> str:
        return ", sent now or before" if self.keep_history else ""


class GridWindow(_Window):
    """The window that a model sees: the last `length_s` seconds on a grid of `rate_hz`, every `stride_s`."""

    length_s: float = Field(gt=0, description="length of the window in seconds")
    stride_s: float = Field(gt=0, description="seconds between two windows of one entity")
    rate_hz: float = Field(gt=0, description="grid points a second")
    start_slack_steps: float = Field(
        default=1.0, ge=0, description="a first sample this many grid steps late still covers the window"
    )

    @property
    def steps(self) -> int:
        """Grid points in a window."""
        return round(self.length_s * self.rate_hz)

    @property
    def min_samples(self) -> int:
        """Fewer samples than these are refused before anything else is looked at."""
        return 1 if self.keep_history else 2

    @property
    def kept_samples(self) -> int:
        """Return how many samples of an entity are kept; with more than four a step no window completes."""
        return 4 * self.steps

    @property
    def samples_text(self) -> str:
        """Return what an instance holds, in words."""
        return f"the last {self.length_s:g} s or more{self._now_or_before}"

    def first_needed(self, times: Sequence[float]) -> int:
        """Return the index of the first of these increasing times that a window from now on can need.

        It is the last sample at or before the first grid point.
        """
        start_s = times[-1] - (self.steps - 1) / self.rate_hz
        return max(bisect_left(times, start_s + ROUNDING_STEPS / self.rate_hz) - 1, 0)


class PointWindow(_Window):
    """The window that a model sees: the last `points` samples as they are, at every new sample."""

    points: int = Field(ge=2, description="samples in a window")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.points > self.max_samples:
            raise ValueError(f"points: got {self.points}, expected at most max_samples, {self.max_samples}")
        return self

    @property
    def steps(self) -> int:
        """Samples in a window."""
        return self.points

    @property
    def min_samples(self) -> int:
        """Return 1: a point without its track gets an error that says what a window needs."""
        return 1

    @property
    def kept_samples(self) -> int:
        """Return how many samples of an entity are kept: some may turn out to be late, or wrong."""
        return 2 * self.points

    @property
    def samples_text(self) -> str:
        """Return what an instance holds, in words."""
        each = f"each within {self.max_gap_s:g} s of the one before"
        return f"at least {self.points} points, {each}{self._now_or_before}"

    def first_needed(self, times: Sequence[float]) -> int:
        """Return the index of the first of these increasing times that a window from now on can need."""
        return max(len(times) - self.points, 0)


def _form(given: Any) -> str:
    """Return which form of a window is meant: the one in points has that many, the one on a grid a rate."""
    if isinstance(given, _Window):
        return "points" if isinstance(given, PointWindow) else "grid"
    return "points" if isinstance(given, dict) and "points" in given else "grid"


WindowSpec = Annotated[
    Annotated[GridWindow, Tag("grid")] | Annotated[PointWindow, Tag("points")], Discriminator(_form)
]
