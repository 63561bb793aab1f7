"""Pictures of predictions that each have a truth: a table as predicted against true, a series over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from features.contract import Contract
from scripts.marks import Predictions, TimedPrediction
from scripts.picture_style import BEST, OTHERS, TRUTH, new_figure, plain, save
from scripts.recordings import Recording
from scripts.scores import names_in, said_by, score_of

# a band a row would hide each other: so many are drawn, evenly over the truths
_MOST_BANDS = 400
# more windows than these are a smear: the last ones are drawn
_MOST_WINDOWS = 336


def draw_table(directory: Path, contract: Contract, predictions: Predictions, best: str) -> Path:
    """One panel an arm, the best first: a point a row, the band of some, and the line of no error."""
    arms = sorted(names_in(predictions), key=lambda arm: arm != best)
    figure = new_figure(4.6 * len(arms), 4.8)
    panels = figure.subplots(1, len(arms), sharex=True, sharey=True, squeeze=False)[0]
    for axes, arm in zip(panels, arms, strict=True):
        known = [p for p in said_by(predictions, arm) if math.isfinite(p.truth)]
        _draw_rows(axes, known, BEST if arm == best else OTHERS[0])
        score = score_of(known, contract.target.metric)
        plain(axes, f"{arm}: {contract.target.metric} {score.error(contract.target.metric):.3g}")
        axes.set_xlabel(f"true {contract.target.name} ({contract.target.unit})")
    panels[0].set_ylabel(f"predicted {contract.target.name} ({contract.target.unit})")
    return save(figure, directory, contract.workload)


def _draw_rows(axes: Axes, known: Sequence[TimedPrediction], colour: str) -> None:
    if not known:
        return
    ordered = sorted(known, key=lambda p: p.truth)
    banded = [
        ordered[i] for i in np.linspace(0, len(ordered) - 1, min(len(ordered), _MOST_BANDS)).astype(int)
    ]
    lines = [((p.truth, p.lower), (p.truth, p.upper)) for p in banded if math.isfinite(p.lower)]
    axes.add_collection(LineCollection(lines, colors=colour, alpha=0.3, linewidths=1.0, label="band"))
    axes.scatter(
        [p.truth for p in ordered], [p.value for p in ordered], s=4, color=colour, label="row", linewidths=0
    )
    ends = (ordered[0].truth, ordered[-1].truth)
    axes.plot(ends, ends, color=TRUTH, lw=1, ls=(0, (6, 3)), label="no error")
    axes.legend(loc="upper left", frameon=False, fontsize=9)


def draw_series(
    directory: Path,
    contract: Contract,
    recording: Recording,
    predictions: Mapping[str, Sequence[TimedPrediction]],
    best: str,
) -> Path:
    """Truth, what the best arm said with its band, and the others as thin lines, of the last windows."""
    figure = new_figure(11, 4.8)
    axes = figure.subplots()
    shown = {arm: _last(said) for arm, said in predictions.items()}
    others = iter(OTHERS * (1 + len(shown) // len(OTHERS)))
    for arm, said in shown.items():
        if not said:
            continue
        times = [p.end_s for p in said]
        values = [p.value for p in said]
        if arm != best:
            axes.plot(times, values, color=next(others), lw=0.8, alpha=0.8, label=f"predicted by {arm}")
            continue
        lower, upper = [p.lower for p in said], [p.upper for p in said]
        axes.fill_between(times, lower, upper, color=BEST, alpha=0.18, lw=0, label=f"band of {arm}", zorder=1)
        axes.plot(times, values, color=BEST, lw=1.6, label=f"predicted by {arm}", zorder=4)
    said = shown.get(best) or next((said for said in shown.values() if said), [])
    if said:
        axes.plot(
            [p.end_s for p in said], [p.truth for p in said], color=TRUTH, lw=1.1, label="truth", zorder=5
        )
        axes.legend(loc="upper left", ncols=3, frameon=True, framealpha=0.9, edgecolor="none", fontsize=9)
    plain(axes, f"{recording.title}, the last {len(said)} windows")
    _label(axes, contract)
    return save(figure, directory, f"{recording.entity} {recording.source}")


def _last(said: Sequence[TimedPrediction]) -> list[TimedPrediction]:
    return sorted(said, key=lambda p: p.end_s)[-_MOST_WINDOWS:]


def _label(axes: Axes, contract: Contract) -> None:
    assert contract.window is not None, "a series has windows"
    time_unit = contract.fields[contract.field_names.index(contract.window.time)].unit
    axes.set_xlabel(f"end of the window ({contract.window.time}, {time_unit})")
    axes.set_ylabel(f"{contract.target.name} ({contract.target.unit})")
