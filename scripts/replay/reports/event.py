"""Recordings whose one truth comes about at their end: errors at fractions of the time to that event."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from features.contract import Contract
from scripts.replay.csv_files import write_horizon_errors
from scripts.replay.horizon_errors import (
    FAST_HZ,
    FRACTIONS,
    HorizonError,
    Predictions,
    all_horizon_errors,
    best_arm,
    coverage_counts,
    median_ape_percent,
)
from scripts.replay.reports.base import MoreTables
from scripts.replay.scores import names_in
from scripts.replay.text_tables import TextTable, number, share

_FRACTION_HEADER = tuple(f"at {fraction:g}" for fraction in FRACTIONS)


@dataclass(frozen=True)
class EventReport:
    """The `scripts.replay.reports.base.Report` of such a workload."""

    about: str = ""
    more: MoreTables | None = None
    by_file: bool = False

    def best(self, contract: Contract, predictions: Predictions, arms: Sequence[str]) -> str:
        """Return the best arm; see `scripts.replay.horizon_errors.best_arm`."""
        return best_arm(all_horizon_errors(predictions), arms)

    def headline(self, contract: Contract, predictions: Predictions, arms: Sequence[str]) -> TextTable:
        """Median errors by arm and fraction, on the faster logs."""
        fast = sum(recording.rate_hz >= FAST_HZ for recording in predictions)
        title = f"median absolute error in %, {fast} logs of {FAST_HZ:g} Hz and more"
        return _errors(title, predictions, all_horizon_errors(predictions), arms, FAST_HZ)

    def tables(self, contract: Contract, predictions: Predictions, arms: Sequence[str]) -> list[TextTable]:
        """Return tables of the faster logs, of all logs, and of each log of the best arm."""
        horizon_errors = all_horizon_errors(predictions)
        fast = sum(recording.rate_hz >= FAST_HZ for recording in predictions)
        note = (
            f"Median absolute error in % of `{contract.target.name}`, of the last prediction at or before a "
            "fraction of the time to the event. Below the arms stand rules of physics on the same windows. "
            "*In band* is the share of truths inside the prediction bands from "
            f"{FRACTIONS[0]:g} of the time on. The bands are set on simulations, where they hold their "
            "nominal share (see below); where the share is lower on recordings, real sensors are worse than "
            "simulated ones."
        )
        return [
            _errors(
                f"{fast} logs of {FAST_HZ:g} Hz and more", predictions, horizon_errors, arms, FAST_HZ, note
            ),
            _errors(f"All {len(predictions)} logs", predictions, horizon_errors, arms, 0.0),
            _each_log(predictions, horizon_errors, best_arm(horizon_errors, arms)),
        ]

    def write(self, path: Path, contract: Contract, predictions: Predictions) -> None:
        """Write a row a log, arm and fraction."""
        write_horizon_errors(path, contract, all_horizon_errors(predictions))

    def draw(
        self, directory: Path, contract: Contract, predictions: Predictions, best: str
    ) -> Iterator[Path]:
        """Draw a picture a log."""
        from scripts.replay.plots.event import draw_recording  # matplotlib: not before --help is answered

        for recording, answers in predictions.items():
            yield draw_recording(directory, contract, recording, answers, best)


def _errors(
    title: str,
    predictions: Predictions,
    horizon_errors: Sequence[HorizonError],
    arms: Sequence[str],
    minimum_rate_hz: float,
    note: str = "",
) -> TextTable:
    rows = []
    for name in names_in(predictions):
        medians = [median_ape_percent(horizon_errors, name, f, minimum_rate_hz) for f in FRACTIONS]
        inside, of = coverage_counts(predictions, name, minimum_rate_hz) if name in arms else (0, 0)
        rows.append((name, *map(number, medians), share(inside, of)))
    return TextTable(title, ("", *_FRACTION_HEADER, "in band"), tuple(rows), note)


def _each_log(predictions: Predictions, horizon_errors: Sequence[HorizonError], arm: str) -> TextTable:
    rows = []
    for recording in predictions:
        errors = [one.ape_percent for one in horizon_errors if one.recording is recording and one.arm == arm]
        cells = (recording.title, f"{recording.rate_hz:.0f}", f"{recording.truth:,.0f}")
        rows.append((*cells, *map(number, errors)))
    return TextTable(
        f"Error of {arm} in %, log by log", ("log", "Hz", "truth", *_FRACTION_HEADER), tuple(rows)
    )
