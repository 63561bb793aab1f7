"""What a replay tells in the terminal."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table

from scripts.marks import FAST_HZ, FRACTIONS, Mark, Predictions, coverage_of, median_ape_percent
from scripts.replay_player import Failure, Played


def show_summary(
    console: Console, played: Played, predictions: Predictions, marks: Sequence[Mark], best: str
) -> None:
    """Errors by arm and fraction, coverage, latency, and what was not answered."""
    console.print(Group(_errors_table(predictions, marks, played.arms, best), _latency_line(played)))
    counts = played.feedback
    console.print(
        f"truths: {counts.accepted} accepted, {counts.duplicate} duplicate, {counts.unmatched} unmatched",
        highlight=False,
    )
    for failure in played.truth_failures:
        console.print(f"[red]truth not taken[/] {escape(failure)}", highlight=False)
    _show_failures(console, played.failures)


def _errors_table(predictions: Predictions, marks: Sequence[Mark], arms: Sequence[str], best: str) -> Table:
    fast = sum(recording.rate_hz >= FAST_HZ for recording in predictions)
    table = Table(
        title=f"median absolute error in %, {fast} logs of {FAST_HZ:g} Hz and more", title_justify="left"
    )
    table.add_column("arm")
    for fraction in FRACTIONS:
        table.add_column(f"at {fraction:g}", justify="right")
    table.add_column("truths in band", justify="right")
    for arm in arms:
        medians = [median_ape_percent(marks, arm, fraction, FAST_HZ) for fraction in FRACTIONS]
        inside, of = coverage_of(predictions, arm, FAST_HZ)
        cells = ["-" if math.isnan(median) else f"{median:.2f}" for median in medians]
        share = f"{100 * inside / of:.1f} % of {of}" if of else "-"
        table.add_row(arm, *cells, share, style="bold green" if arm == best else None)
    return table


def _latency_line(played: Played) -> str:
    if not played.answers:
        return "no window was answered"
    latencies_ms = np.array([answer.latency_s for answer in played.answers]) * 1000
    p50, p95, p99 = np.percentile(latencies_ms, (50, 95, 99))
    fallbacks = sum(answer.prediction.fallback for answer in played.answers)
    return (
        f"{len(played.answers)} answers, {fallbacks} by a fallback; "
        f"latency p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms"
    )


def _show_failures(console: Console, failures: Sequence[Failure]) -> None:
    for word, chosen in (
        ("refused", [f for f in failures if f.refused]),
        ("failed", [f for f in failures if not f.refused]),
    ):
        reasons = Counter((f.recording.title, f.status, f.reason) for f in chosen)
        for (title, status, reason), count in reasons.most_common(20):
            style = "yellow" if word == "refused" else "red"
            console.print(
                f"[{style}]{word}[/] {count} x {escape(title)}: {status or ''} {escape(reason)}",
                highlight=False,
            )
