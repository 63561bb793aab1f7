"""The page of `raysonde results`: arms and baselines side by side, as Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from features.contract import Contract
from scripts.marks import (
    FAST_HZ,
    FRACTIONS,
    Mark,
    Predictions,
    all_marks,
    best_arm,
    coverage_of,
    median_ape_percent,
)
from training.bundle import Card


def page(contract: Contract, predictions: Predictions, cards: Mapping[str, Card], command: str) -> str:
    """The whole page.

    Args:
        contract: of the workload.
        predictions: of the arms, then of the baselines.
        cards: of the arms.
        command: the one that makes this page.
    """
    marks = all_marks(predictions)
    fast = sum(recording.rate_hz >= FAST_HZ for recording in predictions)
    best = best_arm(marks, list(cards))
    parts = [
        f"# Results: {contract.workload}",
        "Models trained on simulations only, asked about recordings that they have never seen. Made with:",
        f"```\n{command}\n```",
        f"Median absolute error in % of `{contract.target.name}`, of the last prediction at or before a "
        "fraction of the time to the event. Below the arms stand rules of physics on the same windows. "
        f"*In band* is the share of truths inside the prediction bands from {FRACTIONS[0]:g} of the time on. "
        "The bands are set on simulations, where they hold their nominal share (see below); where the share "
        "is lower on recordings, real sensors are worse than the simulated ones.",
        f"## {fast} logs of {FAST_HZ:g} Hz and more",
        _errors(predictions, marks, cards, FAST_HZ),
        f"## All {len(predictions)} logs",
        _errors(predictions, marks, cards, 0.0),
        f"## Error of {best} in %, log by log",
        _each_log(predictions, marks, best),
        "## On held-out simulations",
        _simulated(cards),
        "## The models",
        _provenance(cards),
    ]
    return "\n\n".join(parts) + "\n"


def _errors(
    predictions: Predictions, marks: Sequence[Mark], cards: Mapping[str, Card], minimum_rate_hz: float
) -> str:
    rows = []
    for name in dict.fromkeys(mark.arm for mark in marks):
        medians = [median_ape_percent(marks, name, f, minimum_rate_hz) for f in FRACTIONS]
        inside, of = coverage_of(predictions, name, minimum_rate_hz) if name in cards else (0, 0)
        rows.append([name, *map(_number, medians), f"{100 * inside / of:.1f} % of {of}" if of else "-"])
    return _table(["", *(f"at {fraction:g}" for fraction in FRACTIONS), "in band"], rows)


def _each_log(predictions: Predictions, marks: Sequence[Mark], arm: str) -> str:
    rows = []
    for recording in predictions:
        errors = [mark.ape_percent for mark in marks if mark.recording is recording and mark.arm == arm]
        rate, truth = f"{recording.rate_hz:.0f}", f"{recording.truth:,.0f}"
        rows.append([recording.title, rate, truth, *map(_number, errors)])
    return _table(["log", "Hz", "truth", *(f"at {fraction:g}" for fraction in FRACTIONS)], rows)


def _simulated(cards: Mapping[str, Card]) -> str:
    measured = {arm: card.metrics for arm, card in cards.items()}
    for card in cards.values():
        for name, metrics in card.baselines.items():
            measured.setdefault(name, metrics)
    names = list(dict.fromkeys(name for metrics in measured.values() for name in metrics))
    rows = [
        [arm, *(_number(metrics.get(name, math.nan)) for name in names)] for arm, metrics in measured.items()
    ]
    return _table(["", *(name.replace("_", " ") for name in names)], rows)


def _provenance(cards: Mapping[str, Card]) -> str:
    rows = [
        [arm, card.git_commit[:12], card.data_hash.removeprefix("sha256:")[:12], str(card.seed)]
        for arm, card in cards.items()
    ]
    return _table(["arm", "trained at commit", "on data", "seed"], rows)


def _number(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
