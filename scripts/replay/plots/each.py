"""Pictures of predictions that each have a truth: a table as predicted against true, a series over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from features.contract import Contract
from scripts.replay.horizon_errors import Predictions, TimedPrediction
from scripts.replay.plots.style import BEST, OTHERS, TRUTH, new_figure, plain, save
from scripts.replay.recordings import Recording
from scripts.replay.scores import answers_by, names_in, score_predictions

# a band a row would hide each other: so many are drawn, evenly over the truths
_MOST_BANDS = 400
# more windows than these are a smear: the last ones are drawn
_MOST_WINDOWS = 336
# no recording counts its own seconds for so long
_DECADE_S = 10 * 365.25 * 86400


def draw_table(directory: Path, contract: Contract, predictions: Predictions, best: str) -> Path:
    """Draw a column an arm, the best first: predicted against true, and below it the differences."""
    arms = sorted(names_in(predictions), key=lambda arm: arm != best)
    figure = new_figure(4.6 * len(arms), 7.2)
    panels = figure.subplots(2, len(arms), sharex=True, sharey="row", squeeze=False, height_ratios=(3, 2))
    for column, arm in enumerate(arms):
        known = sorted(
            (p for p in answers_by(predictions, arm) if math.isfinite(p.truth)), key=lambda p: p.truth
        )
        above, below = panels[0][column], panels[1][column]
        error = score_predictions(known, contract.target).error(contract.target.metric)
        plain(above, f"{arm}: {contract.target.metric} {error:.3g}")
        plain(below, "")
        below.set_xlabel(f"true {contract.target.name} ({contract.target.unit})")
        colour = BEST if arm == best else OTHERS[0]
        _draw_rows(above, known, [p.truth for p in known], colour)
        _draw_rows(below, known, [0.0] * len(known), colour)
    if panels[0][0].has_data():
        panels[0][0].legend(loc="upper left", frameon=False, fontsize=9)
    panels[0][0].set_ylabel(f"predicted {contract.target.name} ({contract.target.unit})")
    panels[1][0].set_ylabel(f"predicted less true ({contract.target.unit})")
    return save(figure, directory, contract.workload)


def _draw_rows(axes: Axes, known: Sequence[TimedPrediction], right: Sequence[float], colour: str) -> None:
    """Points and bands over the truths, moved so that a prediction without error lies at `right`."""
    if not known:
        return
    moved = [(p.truth, level - p.truth, p) for p, level in zip(known, right, strict=True)]
    some = np.linspace(0, len(known) - 1, min(len(known), _MOST_BANDS)).astype(int)
    lines = [
        ((truth, p.lower + by), (truth, p.upper + by))
        for truth, by, p in (moved[number] for number in some)
        if math.isfinite(p.lower)
    ]
    axes.add_collection(LineCollection(lines, colors=colour, alpha=0.25, linewidths=1.0, label="band"))
    x, y = [truth for truth, _, _ in moved], [p.value + by for _, by, p in moved]
    axes.scatter(x, y, s=4, color=colour, label="row", linewidths=0)
    axes.plot(x, right, color=TRUTH, lw=1, ls=(0, (6, 3)), label="no error")


def draw_series(
    directory: Path,
    contract: Contract,
    recording: Recording,
    predictions: Mapping[str, Sequence[TimedPrediction]],
    best: str,
) -> Path:
    """Truth, what the best arm answers with its band, and the others as thin lines, of the last windows."""
    figure = new_figure(11, 4.8)
    axes = figure.subplots()
    shown = {arm: _last(answers) for arm, answers in predictions.items()}
    others = iter(OTHERS * (1 + len(shown) // len(OTHERS)))
    for arm, answers in shown.items():
        if not answers:
            continue
        times = _times(answers)
        values = [p.value for p in answers]
        if arm != best:
            axes.plot(times, values, color=next(others), lw=0.8, alpha=0.8, label=f"predicted by {arm}")
            continue
        lower, upper = [p.lower for p in answers], [p.upper for p in answers]
        axes.fill_between(times, lower, upper, color=BEST, alpha=0.18, lw=0, label=f"band of {arm}", zorder=1)
        axes.plot(times, values, color=BEST, lw=1.6, label=f"predicted by {arm}", zorder=4)
    answers = shown.get(best) or next((answers for answers in shown.values() if answers), [])
    if answers:
        axes.plot(_times(answers), [p.truth for p in answers], color=TRUTH, lw=1.1, label="truth", zorder=5)
        figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    plain(axes, f"{recording.title}, the last {len(answers)} windows")
    _label(axes, contract, answers)
    return save(figure, directory, f"{recording.entity} {recording.source}")


def _last(answers: Sequence[TimedPrediction]) -> list[TimedPrediction]:
    return sorted(answers, key=lambda p: p.end_s)[-_MOST_WINDOWS:]


def _times(answers: Sequence[TimedPrediction]) -> NDArray[np.float64] | NDArray[np.datetime64]:
    """Return the ends of the windows, as dates where they can only be Unix time."""
    ends_s = np.array([p.end_s for p in answers], np.float64)
    return ends_s.astype("datetime64[s]") if _is_unix(answers) else ends_s


def _is_unix(answers: Sequence[TimedPrediction]) -> bool:
    return bool(answers) and answers[0].end_s > _DECADE_S


def _label(axes: Axes, contract: Contract, answers: Sequence[TimedPrediction]) -> None:
    assert contract.window is not None, "a series has windows"
    time_unit = contract.fields[contract.field_names.index(contract.window.time)].unit
    unit = "UTC" if _is_unix(answers) else f"{contract.window.time}, {time_unit}"
    axes.set_xlabel(f"end of the window ({unit})")
    axes.set_ylabel(f"{contract.target.name} ({contract.target.unit})")
