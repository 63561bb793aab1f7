"""A picture of each track: what was measured, how probable the class was, and when it was true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from features.contract import Contract
from features.targets import ClassTarget
from scripts.replay.horizon_errors import TimedPrediction
from scripts.replay.plots.style import BEST, MEASURED, OTHERS, TRUTH, new_figure, plain, save
from scripts.replay.recordings import Recording


def draw_track(
    directory: Path,
    contract: Contract,
    recording: Recording,
    predictions: Mapping[str, Sequence[TimedPrediction]],
    best: str,
    field: str,
) -> Path:
    """Draw one recording as PNG: `field` above, below it the probability of the positive class by arm."""
    target = contract.target
    assert isinstance(target, ClassTarget), "only classes have probabilities"
    column = target.classes.index(target.positive)
    figure = new_figure(9, 6)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    start_s = float(recording.times[0])
    spec = contract.fields[contract.field_names.index(field)]
    values = recording.rows[:, contract.field_names.index(field)]
    plain(above, recording.title)
    above.plot(recording.times - start_s, values, color=MEASURED, lw=1.8)
    above.set_ylabel(f"{field.replace('_', ' ')} ({spec.unit})")
    plain(below, "")
    others = iter(OTHERS * (1 + len(predictions)))
    for arm, answers in sorted(predictions.items(), key=lambda item: item[0] != best):
        ordered = sorted(answers, key=lambda one: one.end_s)
        colour, width = (BEST, 1.8) if arm == best else (next(others), 0.9)
        times = [one.end_s - start_s for one in ordered]
        probability = [float(one.arrays["probability"][column]) for one in ordered]
        below.plot(times, probability, color=colour, lw=width, label=f"{target.positive} by {arm}")
    _shade_truth((above, below), next(iter(predictions.values()), ()), column, start_s)
    below.set(ylim=(-0.03, 1.03), xlabel="time since the first point (s)", ylabel="probability")
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return save(figure, directory, f"{recording.entity} {recording.source}")


def _shade_truth(
    panels: Sequence[Axes], answers: Sequence[TimedPrediction], column: int, start_s: float
) -> None:
    """Colour the times at which the class was true."""
    ordered = sorted(answers, key=lambda one: one.end_s)
    times = np.array([one.end_s - start_s for one in ordered])
    true = np.array([one.known and one.truth == column for one in ordered], dtype=bool)
    for number, axes in enumerate(panels):
        if true.any():
            label = None if number else "truth"
            axes.fill_between(
                times,
                0,
                1,
                where=true,
                transform=axes.get_xaxis_transform(),
                color=TRUTH,
                alpha=0.12,
                lw=0,
                label=label,
            )
