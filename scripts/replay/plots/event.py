"""A picture of each recording: what was measured, what was predicted, what turned out to be true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from features.contract import Contract, FieldSpec
from scripts.replay.horizon_errors import FRACTIONS, TimedPrediction
from scripts.replay.plots.style import BEST, INK, MEASURED, OTHERS, TRUTH, new_figure, plain, save, words
from scripts.replay.recordings import Recording


def draw_recording(
    directory: Path,
    contract: Contract,
    recording: Recording,
    predictions: Mapping[str, Sequence[TimedPrediction]],
    best: str,
) -> Path:
    """Draw one recording as PNG; predictions by arm, `best` with its band, the others as thin lines."""
    figure = new_figure()
    axes = figure.subplots()
    _draw_measured(axes, contract, recording)
    _draw_predicted(axes, contract, predictions, best)
    target = contract.target
    axes.axhline(recording.truth, color=TRUTH, lw=1.3, ls=(0, (6, 3)), zorder=4)
    axes.annotate(
        f"{words(target.name)}: {recording.truth:,.0f} {target.unit}",
        (1, recording.truth),
        (-4, 4),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right",
        va="bottom",
        color=TRUTH,
    )
    _frame(axes, contract, recording)
    return save(figure, directory, f"{recording.entity} {recording.source}")


def _draw_measured(axes: Axes, contract: Contract, recording: Recording) -> None:
    shown = _shown_field(contract)
    times = recording.rows[:, _column(contract, _time_name(contract))]
    values = recording.rows[:, _column(contract, shown.name)]
    axes.plot(times, values, color=MEASURED, lw=1.8, label=words(shown.name), zorder=2)


def _draw_predicted(
    axes: Axes, contract: Contract, predictions: Mapping[str, Sequence[TimedPrediction]], best: str
) -> None:
    others = iter(OTHERS * (1 + len(predictions) // len(OTHERS)))
    for arm, answers in predictions.items():
        if not answers:
            continue
        ordered = sorted(answers, key=lambda p: p.end_s)
        times = np.array([p.end_s for p in ordered])
        values = np.array([p.value for p in ordered])
        if arm != best:
            axes.plot(
                times, values, color=next(others), lw=0.9, alpha=0.8, label=f"predicted by {arm}", zorder=3
            )
            continue
        lower, upper = (np.array([getattr(p, end) for p in ordered]) for end in ("lower", "upper"))
        axes.fill_between(times, lower, upper, color=BEST, alpha=0.16, lw=0, label=f"band of {arm}", zorder=1)
        axes.plot(times, values, color=BEST, lw=2, label=f"predicted by {arm}", zorder=5)


def _frame(axes: Axes, contract: Contract, recording: Recording) -> None:
    shown = _shown_field(contract)
    time_unit = contract.fields[_column(contract, _time_name(contract))].unit
    low = min(0.0, float(np.nanmin(recording.rows[:, _column(contract, shown.name)])))
    # early predictions may be far off: they leave the picture, the flight does not
    axes.set_ylim(low - 0.03 * recording.truth, 1.6 * recording.truth)
    axes.set_xlim(float(recording.rows[0, _column(contract, _time_name(contract))]), recording.event_s * 1.02)
    for fraction in FRACTIONS:
        axes.axvline(fraction * recording.event_s, color=INK, lw=0.5, alpha=0.25, zorder=0)
    axes.set_xlabel(f"time ({time_unit})")
    axes.set_ylabel(f"{words(shown.name)} and {words(contract.target.name)} ({contract.target.unit})")
    plain(axes, f"{recording.title}, {recording.rate_hz:.0f} Hz")
    axes.legend(loc="lower right", frameon=True, framealpha=0.9, edgecolor="none", fontsize=9)


def _shown_field(contract: Contract) -> FieldSpec:
    """Return the measured field that shares an axis with the target: the first one in the target's unit."""
    same_unit = [spec for spec in contract.fields if spec.unit == contract.target.unit]
    return same_unit[0] if same_unit else contract.fields[1]


def _time_name(contract: Contract) -> str:
    assert contract.window is not None, "only windows can be played"
    return contract.window.time


def _column(contract: Contract, name: str) -> int:
    return contract.field_names.index(name)
