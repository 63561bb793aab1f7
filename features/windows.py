"""Windows over irregular samples: one path for a live stream, a request and a recorded file.

A window ends at a sample and sees only samples up to it, so nothing that arrives later can change it.
`cut_window` puts the samples of the last `length_s` seconds on the grid, or takes the last `points` as they
are, whichever form the contract's window has; `Windower` decides when.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from features.contract import Contract, FieldSpec, Fill
from features.errors import FieldError
from features.window_spec import ROUNDING_STEPS, GridWindow, PointWindow

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Window:
    """A window. Its steps are grid points, or the samples themselves.

    Attributes:
        end_s: time of the last sample, which is the last step.
        values: (steps, channels), columns in the order of `Contract.channels`.
        filled: how many values were filled by rule, by field; only fields with any.
    """

    end_s: float
    values: FloatArray
    filled: dict[str, int] = field(default_factory=dict)


def cut_window(contract: Contract, samples: FloatArray) -> Window:
    """Cut the window that ends at the last of `samples`.

    Args:
        contract: of a windowed workload.
        samples: (n, fields) in contract order, times strictly increasing; NaN where nothing was sent.

    Raises:
        FieldError: time not increasing, window too short, or two samples too far apart.
    """
    spec = contract.window
    assert spec is not None, "a tabular contract has no windows"
    time_column = contract.field_names.index(spec.time)
    times = check_times(contract, samples)
    if isinstance(spec, PointWindow):
        first = _first_point(spec, times)
        steps_s = times[first:]
    else:
        first, steps_s = _on_grid(spec, times)
    used, used_times = samples[first:], times[first:]
    is_present = np.isfinite(used)
    counts = is_present.sum(axis=0).tolist()
    values = np.empty((spec.steps, len(contract.channels)))
    filled: dict[str, int] = {}
    for column, field_spec in enumerate(contract.fields):
        if column == time_column:
            values[:, column] = steps_s
            continue
        if not counts[column]:
            values[:, column] = _fill(field_spec.fill, contract, values)
            filled[field_spec.name] = spec.steps
            continue
        series, series_times = used[:, column], used_times
        if missing := len(used) - counts[column]:
            present = is_present[:, column]
            series, series_times = series[present], used_times[present]
            filled[field_spec.name] = missing
        values[:, column] = _between(field_spec, steps_s, series_times, series)
    end_s = float(times[-1])
    values[:, -1] = (len(used_times) - 1) / (end_s - float(used_times[0]))
    return Window(end_s, values, filled)


def _between(spec: FieldSpec, steps_s: FloatArray, times: FloatArray, series: FloatArray) -> FloatArray:
    """Values at the steps; of an angle along the shorter way from sample to sample."""
    if spec.period is None:
        return np.interp(steps_s, times, series)
    values = np.interp(steps_s, times, np.unwrap(series, period=spec.period))
    turned = (values < spec.minimum) | (values > spec.maximum)
    values[turned] = spec.minimum + (values[turned] - spec.minimum) % spec.period
    return values


def needed_samples(contract: Contract, samples: FloatArray) -> FloatArray:
    """Return those of (n, fields) samples, times increasing, that the window at the last one can need."""
    spec = contract.window
    assert spec is not None, "a tabular contract has no windows"
    times = samples[:, contract.field_names.index(spec.time)]
    return samples[spec.first_needed(times.tolist()) :]


def _on_grid(spec: GridWindow, times: FloatArray) -> tuple[int, FloatArray]:
    """Return the first sample that matters to the window, and the grid (steps,)."""
    end_s = float(times[-1])
    grid = end_s - _before_end_s(spec.steps, spec.rate_hz)
    # the sample at or before the first grid point is the first that matters
    first = max(int(times.searchsorted(grid[0], side="right")) - 1, 0)
    used_times = times[first:]
    if used_times[0] > grid[0] + spec.start_slack_steps / spec.rate_hz:
        span = end_s - float(used_times[0])
        raise FieldError(
            "samples", f"{span:.3f} s of samples", f"at least {end_s - grid[0]:.2f} s of samples"
        )
    gaps = used_times[1:] - used_times[:-1]
    if gaps.size and gaps.max() > spec.max_gap_s + ROUNDING_STEPS / spec.rate_hz:
        at = int(gaps.argmax())
        raise FieldError(
            f"samples[{first + at + 1}].{spec.time}",
            float(used_times[at + 1]),
            f"a sample within {spec.max_gap_s:g} s of the one before, at {used_times[at]:.12g} s",
        )
    return first, grid


@lru_cache(maxsize=8)
def _before_end_s(steps: int, rate_hz: float) -> FloatArray:
    """Return the times (steps,) from a window's grid points to its end."""
    return np.arange(steps)[::-1] / rate_hz


def _first_point(spec: PointWindow, times: FloatArray) -> int:
    """Return the sample that the last `points` begin with."""
    breaks = np.flatnonzero(np.diff(times) > spec.max_gap_s)
    since = len(times) - (int(breaks[-1]) + 1 if breaks.size else 0)
    if since < spec.points:
        after = f" since a gap of {times[-since] - times[-since - 1]:g} s" if breaks.size else ""
        raise FieldError("samples", f"{since} point{'s' * (since > 1)}{after}", spec.samples_text)
    return len(times) - spec.points


def check_times(contract: Contract, samples: FloatArray) -> FloatArray:
    """(n,) times of (n, fields) samples.

    Raises:
        FieldError: too few to look at, or not increasing.
    """
    spec = contract.window
    assert spec is not None, "a tabular contract has no windows"
    times = samples[:, contract.field_names.index(spec.time)]
    if times.size < spec.min_samples:
        raise FieldError("samples", f"{times.size} samples", f"at least {spec.min_samples} samples")
    is_later = times[1:] > times[:-1]
    if not is_later.all():
        at = int(is_later.argmin()) + 1
        expected = f"a time after {times[at - 1]:.12g} s, the one before"
        raise FieldError(f"samples[{at}].{spec.time}", float(times[at]), expected)
    return np.asarray(times)


def _fill(fill: Fill | None, contract: Contract, values: FloatArray) -> FloatArray:
    """Values at the steps for a field that no sample had; `values` holds the columns before it."""
    assert fill is not None, "required fields are checked before windows are cut"
    if fill.constant is not None:
        return np.full(len(values), fill.constant)
    assert fill.reads is not None
    source = values[:, contract.field_names.index(fill.reads)]
    if fill.same_as:
        return source
    spec = contract.window
    assert spec is not None
    if isinstance(spec, PointWindow):
        times = values[:, contract.field_names.index(spec.time)]
        matrix = _derivative(times - times[-1])
    else:
        matrix = _grid_derivative(spec.steps, spec.rate_hz)
    # taken from the last value: small numbers keep their digits
    return np.asarray(matrix @ (source - source[-1]))


@lru_cache(maxsize=8)
def _grid_derivative(steps: int, rate_hz: float) -> FloatArray:
    return _derivative(np.arange(1 - steps, 1) / rate_hz)


def _derivative(times: FloatArray) -> FloatArray:
    """Return (steps, steps): values at these times -> derivative there of their least-squares quadratic."""
    _, linear, quadratic = np.linalg.pinv(np.vander(times, 3, increasing=True))
    return np.asarray(linear + 2 * np.outer(times, quadratic))


@dataclass
class StreamCounts:
    """Counts of what became of the packets of one entity."""

    accepted: int = 0
    duplicates: int = 0
    out_of_order: int = 0
    too_late: int = 0
    gaps: int = 0
    windows: int = 0


class Windower:
    """Windows from the packets of one entity, in whatever order and rate they come.

    A packet that comes late joins the windows that are still to be cut; it never changes one that was.
    A gap wider than `max_gap_s` starts afresh. On a grid a window is cut at the first sample in each new
    stride of the time axis, so rates below 1 / stride give a window a sample; in points at every sample.
    """

    def __init__(self, contract: Contract) -> None:
        assert contract.window is not None, "a tabular contract has no windows"
        self.counts = StreamCounts()
        self._contract = contract
        self._spec = contract.window
        self._time_column = contract.field_names.index(contract.window.time)
        self._times: list[float] = []
        self._rows: list[Sequence[float]] = []
        self._last_stride: int | None = None

    def push(self, row: Sequence[float]) -> Window | None:
        """Take one sample (fields in contract order, NaN where missing); a window if one is due."""
        time_s = row[self._time_column]
        if self._times and time_s - self._times[-1] > self._spec.max_gap_s:
            self.counts.gaps += 1
            self._times.clear()
            self._rows.clear()
        position = bisect_left(self._times, time_s)
        if position < len(self._times):
            self._insert_late(position, time_s, row)
            return None
        self.counts.accepted += 1
        self._times.append(time_s)
        self._rows.append(row)
        self._forget()
        return self._window_if_due(time_s)

    def samples(self) -> FloatArray:
        """Return the samples that the newest window sees, (n, fields): what a client sends for it."""
        return np.asarray(self._rows, dtype=np.float64)

    def _insert_late(self, position: int, time_s: float, row: Sequence[float]) -> None:
        if self._times[position] == time_s:
            self.counts.duplicates += 1
        elif position == 0:
            self.counts.too_late += 1
        else:
            self.counts.out_of_order += 1
            self._times.insert(position, time_s)
            self._rows.insert(position, row)

    def _forget(self) -> None:
        """Drop what no later window can see."""
        first = self._spec.first_needed(self._times)
        del self._times[:first]
        del self._rows[:first]

    def _window_if_due(self, time_s: float) -> Window | None:
        stride = None
        if isinstance(self._spec, GridWindow):
            stride = int(np.floor(time_s / self._spec.stride_s + 1e-9))
            if stride == self._last_stride:
                return None
        try:
            window = cut_window(self._contract, self.samples())
        except FieldError:
            return None  # not enough samples yet: the next one may complete it
        self._last_stride = stride
        self.counts.windows += 1
        return window


def cut_windows(contract: Contract, rows: Iterable[Sequence[float]]) -> list[Window]:
    """Cut all windows of a recorded sequence, by the very path that a live stream takes."""
    windower = Windower(contract)
    return [w for w in map(windower.push, rows) if w is not None]
