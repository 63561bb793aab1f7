"""The section that `make burst` writes into `docs/benchmarks/scaling.md`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scripts.benchmarks.burst.phases import BurstPlan
from scripts.benchmarks.burst.timeline import Course, Timeline
from scripts.rendering.generated_section import SectionMarkers
from scripts.replay.text_tables import TextTable, number

MARKS = SectionMarkers.of("make burst")
TITLE = "# Scaling"


def tables(timeline: Timeline, plan: BurstPlan, found: Sequence[Course]) -> list[TextTable]:
    """Return the tables of what the replicas did, and what the callers saw of it."""
    return [_of_replicas(found), _of_callers(timeline, plan)]


def measured_part(
    command: str,
    machine: str,
    picture: str,
    timeline: Timeline,
    plan: BurstPlan,
    found: Sequence[Course],
    wrong: Sequence[str],
) -> str:
    """Markdown.

    Args:
        picture: its path, as the page links to it.
        wrong: see `timeline.problems`.
    """
    how = (
        f"{plan.rounds} rounds of {plan.rate_per_s:g} requests/s for {plan.burst_s:g} s and nothing for "
        f"{plan.idle_s:g} s; the load generator is on the same cores. Latencies count from "
        "when a request was due."
    )
    verdict = (
        "**Not passed:** " + "; ".join(wrong)
        if wrong
        else "Replicas went out and came back in every round, without an error, and no phase had more than "
        "one change of direction."
    )
    return "\n\n".join(
        [
            f"```\n{command}\n```",
            f"{machine}. {how}",
            verdict,
            f"![rate, latency and replicas over time]({picture})",
            *(table.markdown() for table in tables(timeline, plan, found)),
        ]
    )


def _of_replicas(found: Sequence[Course]) -> TextTable:
    header = (
        *("round", "part", "most replicas", "out after s", "back after s"),
        *("turns in burst", "turns in idle"),
    )
    rows = tuple(
        (
            *(str(one.round), one.deployment, str(one.most), _seconds(one.out_s), _seconds(one.back_s)),
            *(str(one.burst_changes), str(one.idle_changes)),
        )
        for one in found
    )
    note = "Out: from the begin of a burst to a second replica that takes requests. Back: from its end."
    return TextTable("Replicas", header, rows, note)


def _of_callers(timeline: Timeline, plan: BurstPlan) -> TextTable:
    rows = []
    for phase in plan.phases():
        if not phase.is_burst:
            continue
        ended = [one for one in timeline.ended if phase.holds(one.due_s)]
        errors = sum(bool(one.error) for one in ended)
        latencies_ms = [1000 * one.latency_s for one in ended if not one.error]
        p50, p99, worst = np.percentile(latencies_ms, [50, 99, 100]) if latencies_ms else [np.nan] * 3
        cells = (str(phase.round), f"{len(ended):,}", str(errors), *map(number, (p50, p99, worst)))
        rows.append(cells)
    return TextTable("Callers", ("round", "requests", "errors", "p50 ms", "p99 ms", "worst ms"), tuple(rows))


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
