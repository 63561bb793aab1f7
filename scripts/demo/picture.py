"""The picture of a healing: error, drift and versions over time, with the steps of the loop as marks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from matplotlib.axes import Axes

from scripts.demo.error_course import ErrorCourse, EvaluatedPrediction
from scripts.demo.observations import Event
from scripts.demo.plan import HealRule
from scripts.demo.timeline import Timeline
from scripts.replay.plots.style import BEST, INK, MEASURED, OTHERS, TRUTH, new_figure, plain, save

NAME = "demo heal"

_MARKS = {
    "wave": "heat wave",
    "drifting": "drift",
    "job": "job",
    "done": "gate",
    "better": "shadow",
    "probation": "promoted",
    "healed": "healed",
}
# above the curve, for the words at the marks
_ROOM = 1.35
_VERSIONS = (MEASURED, BEST, *OTHERS)

# (begin, end) s
Span = tuple[float, float]


def draw(directory: Path, timeline: Timeline, course: ErrorCourse, rule: HealRule) -> Path:
    """Draw the picture as PNG, and return its path."""
    end_s = course.evaluated[-1].at_s if course.evaluated else 1.0
    bands = drift_spans(timeline.events, end_s)
    arms = sorted({one.arm for one in course.evaluated})
    figure = new_figure(10, 7)
    heights = [6, max(len(bands), 1), max(len(arms), 1)]
    error, drift, versions = figure.subplots(3, sharex=True, height_ratios=heights)
    _draw_error(error, timeline, course, rule)
    _draw_bands(drift, bands)
    _draw_versions(versions, {arm: version_spans(course.evaluated, arm) for arm in arms})
    for axes in (error, drift, versions):
        for kind in _MARKS:
            if (at_s := timeline.first(kind)) is not None:
                axes.axvline(at_s, color=INK, lw=0.8, ls=":", zorder=1)
    versions.set_xlabel("time (s)")
    versions.set_xlim(0, end_s)
    return save(figure, directory, NAME)


def drift_spans(events: Sequence[Event], end_s: float) -> dict[str, list[Span]]:
    """Return the spans of drift by detector, in the order of their first."""
    found: dict[str, list[Span]] = {}
    for event in sorted(events, key=lambda event: event.at_s):
        spans = found.setdefault(event.subject, []) if event.kind == "drifting" else found.get(event.subject)
        if spans is None:
            continue
        if event.kind == "drifting":
            spans.append((event.at_s, end_s))
        elif event.kind == "ok" and spans:
            spans[-1] = (spans[-1][0], event.at_s)
    return found


def version_spans(evaluated: Sequence[EvaluatedPrediction], arm: str) -> list[tuple[str, Span]]:
    """Return the versions of an arm with the spans in which they answered."""
    changes: list[tuple[str, float]] = []
    for one in evaluated:
        if one.arm == arm and (not changes or changes[-1][0] != one.version):
            changes.append((one.version, one.at_s))
    last = ("", evaluated[-1].at_s) if evaluated else ("", 0.0)
    return [(version, (begin_s, end[1])) for (version, begin_s), end in pairwise([*changes, last])]


def _draw_error(axes: Axes, timeline: Timeline, course: ErrorCourse, rule: HealRule) -> None:
    plain(axes, f"root mean square error of the newest {rule.truths} answers ({timeline.unit})")
    times_s, errors = [at_s for at_s, _ in course.points], [error for _, error in course.points]
    axes.plot(times_s, errors, color=TRUTH, lw=1.5)
    highest = max((value for _, value in course.points), default=1.0)
    axes.set_ylim(0, _ROOM * highest)
    if timeline.calm is not None:
        axes.axhline(timeline.calm, color=BEST, lw=1, label="calm level")
        limit = rule.factor * timeline.calm
        axes.axhline(limit, color=BEST, lw=1, ls="--", label=f"{rule.factor:g} times the calm level")
        axes.legend(loc="upper left", frameon=True, framealpha=0.9, edgecolor="none", fontsize=9)
    for kind, words in _MARKS.items():
        if (at_s := timeline.first(kind)) is not None:
            axes.annotate(
                words,
                (at_s, 1),
                xycoords=("data", "axes fraction"),
                xytext=(2, -2),
                textcoords="offset points",
                rotation=90,
                va="top",
                fontsize=9,
                color=INK,
            )


def _draw_bands(axes: Axes, bands: dict[str, list[Span]]) -> None:
    plain(axes, "detectors that see drift")
    for row, spans in enumerate(bands.values()):
        axes.broken_barh([(begin, end - begin) for begin, end in spans], (row - 0.35, 0.7), color=TRUTH)
    _name_rows(axes, list(bands))


def _draw_versions(axes: Axes, arms: dict[str, list[tuple[str, Span]]]) -> None:
    plain(axes, "version that answers, by arm")
    for row, spans in enumerate(arms.values()):
        for number, (version, (begin, end)) in enumerate(spans):
            color = _VERSIONS[number % len(_VERSIONS)]
            axes.broken_barh([(begin, end - begin)], (row - 0.35, 0.7), color=color)
            place = ((begin + end) / 2, row)
            axes.annotate(version, place, color="white", ha="center", va="center", fontsize=9)
    _name_rows(axes, list(arms))


def _name_rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False)
