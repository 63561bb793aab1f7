"""The picture of a burst test: rate, latency and replicas over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from scripts.benchmarks.burst.phases import BurstPlan
from scripts.benchmarks.burst.timeline import Timeline, per_second
from scripts.replay.plots.style import BEST, INK, OTHERS, TRUTH, new_figure, plain, save

NAME = "scaling burst"


def draw(directory: Path, plan: BurstPlan, timeline: Timeline, deployments: Sequence[str]) -> Path:
    """Draw as PNG; bursts are shaded."""
    figure = new_figure(9, 7)
    rate, latency, replicas = figure.subplots(3, sharex=True)
    seconds = per_second(timeline.ended, plan.duration_s)
    rate.plot(seconds.at_s, seconds.rate, color=BEST, lw=1.4)
    _frame(rate, plan, "answers a second")
    latency.semilogy(seconds.at_s, seconds.p99_ms, color=TRUTH, lw=1.2)
    _frame(latency, plan, "99th percentile of latency, by second (ms)")
    _draw_replicas(replicas, timeline, deployments)
    _frame(replicas, plan, "replicas that take requests")
    replicas.set_xlabel("time (s)")
    replicas.set_xlim(0, plan.duration_s)
    return save(figure, directory, NAME)


def _draw_replicas(axes: Axes, timeline: Timeline, deployments: Sequence[str]) -> None:
    at_s = [one.at_s for one in timeline.seen]
    for place, (name, color) in enumerate(zip(deployments, (BEST, *OTHERS, INK), strict=False)):
        # a little apart, so that equal courses are both seen
        counts = [one.running.get(name, 0) + 0.04 * place for one in timeline.seen]
        axes.step(at_s, counts, where="post", color=color, lw=1.8, label=name)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom=0)
    axes.legend(loc="lower right", frameon=True, framealpha=0.9, edgecolor="none", fontsize=9)


def _frame(axes: Axes, plan: BurstPlan, title: str) -> None:
    plain(axes, title)
    for phase in plan.phases():
        if phase.is_burst:
            axes.axvspan(phase.begin_s, phase.end_s, color=BEST, alpha=0.07, lw=0, zorder=0)
