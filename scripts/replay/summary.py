"""The summary of a replay in the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from rich.console import Console, Group
from rich.markup import escape

from scripts.replay.client import FeedbackCounts
from scripts.replay.player import Failure, Played
from scripts.replay.text_tables import TextTable


def show_summary(console: Console, played: Played, headline: TextTable, best: str) -> None:
    """Errors by arm, latency, and what was not answered."""
    console.print(Group(headline.rich(best), _latency_line(played)))
    show_truths(console, played.feedback, played.truth_failures)
    show_failures(console, played.failures)


def show_truths(console: Console, counts: FeedbackCounts, failures: Sequence[str]) -> None:
    """Show what became of the truths."""
    console.print(
        f"truths: {counts.accepted} accepted, {counts.duplicate} duplicate, {counts.unmatched} unmatched",
        highlight=False,
    )
    for failure in failures:
        console.print(f"[red]truth not taken[/] {escape(failure)}", highlight=False)


def _latency_line(played: Played) -> str:
    if not played.answers:
        return "nothing was answered"
    latencies_ms = np.array([answer.latency_s for answer in played.answers]) * 1000
    p50, p95, p99 = np.percentile(latencies_ms, (50, 95, 99))
    fallbacks = sum(answer.prediction.fallback for answer in played.answers)
    again = f", {played.resent} requests sent again to a busy system" if played.resent else ""
    return (
        f"{len(played.answers)} answers, {fallbacks} by a fallback{again}; "
        f"latency p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms"
    )


def show_failures(console: Console, failures: Sequence[Failure]) -> None:
    """Show the commonest reasons, with how often and for which recording."""
    for word, chosen in (
        ("refused", [f for f in failures if f.refused]),
        ("failed", [f for f in failures if not f.refused]),
    ):
        reasons = Counter((f.case.recording.title, f.status, f.reason) for f in chosen)
        for (title, status, reason), count in reasons.most_common(20):
            style = "yellow" if word == "refused" else "red"
            console.print(
                f"[{style}]{word}[/] {count} x {escape(title)}: {status or ''} {escape(reason)}",
                highlight=False,
            )
