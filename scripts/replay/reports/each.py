"""Workloads where every prediction has a truth of its own: rows of a table, and windows of a series."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from features.contract import Contract
from scripts.replay.csv_files import write_each
from scripts.replay.horizon_errors import Predictions
from scripts.replay.reports.base import MoreTables
from scripts.replay.scores import answers_by, best_by, names_in, score_predictions
from scripts.replay.text_tables import TextTable, number
from training.pipeline.evaluation import shown_metrics

# more recordings than these are not told one by one
_MOST_LISTED = 20


@dataclass(frozen=True)
class EachReport:
    """The `scripts.replay.reports.base.Report` of such a workload; its contract says which error counts."""

    about: str = ""
    more: MoreTables | None = None
    by_file: bool = False

    def best(self, contract: Contract, predictions: Predictions, arms: Sequence[str]) -> str:
        """Return the arm that is best by the contract's metric."""
        return best_by(predictions, arms, contract.target)

    def headline(self, contract: Contract, predictions: Predictions, arms: Sequence[str]) -> TextTable:
        """Errors and coverage; with the share of the first baseline's error, if there is one."""
        metric = contract.target.metric
        shown = shown_metrics(contract.target)
        scores = {
            name: score_predictions(answers_by(predictions, name), contract.target)
            for name in names_in(predictions)
        }
        baseline = next((name for name in scores if name not in arms), None)
        against = (f"{metric.replace('_', ' ')} / {baseline}",) if baseline else ()
        rows = []
        for name, score in scores.items():
            errors = [number(score.error(one)) for one in shown]
            if baseline:
                reference = scores[baseline].error(metric)
                errors.append(number(score.error(metric) / reference if reference else math.nan))
            rows.append((name, *errors, score.covered))
        count = max((score.count for score in scores.values()), default=0)
        words = "Scores" if contract.target.higher_is_better else f"Errors in {contract.target.unit}"
        header = ("", *(name.replace("_", " ") for name in shown), *against, "in band")
        return TextTable(f"{words} over {count:,} predictions", header, tuple(rows))

    def tables(self, contract: Contract, predictions: Predictions, arms: Sequence[str]) -> list[TextTable]:
        """Return the headline; the same of each recording where there are a few."""
        found = [self.headline(contract, predictions, arms)]
        if 1 < len(predictions) <= _MOST_LISTED:
            found.append(_each_recording(contract, predictions))
        return found

    def write(self, path: Path, contract: Contract, predictions: Predictions) -> None:
        """Write a row an arm and case."""
        write_each(path, contract, predictions)

    def draw(
        self, directory: Path, contract: Contract, predictions: Predictions, best: str
    ) -> Iterator[Path]:
        """Draw a picture a series, or one of the whole table."""
        from scripts.replay.plots.each import draw_series, draw_table  # matplotlib

        if contract.task != "regression":
            return
        if contract.window is None:
            yield draw_table(directory, contract, predictions, best)
            return
        for recording, answers in predictions.items():
            yield draw_series(directory, contract, recording, answers, best)


def _each_recording(contract: Contract, predictions: Predictions) -> TextTable:
    target, names = contract.target, names_in(predictions)
    metric = target.metric
    rows = tuple(
        (
            recording.title,
            *(number(score_predictions(answers.get(name, ()), target).error(metric)) for name in names),
        )
        for recording, answers in predictions.items()
    )
    return TextTable(f"{metric} of each recording", ("", *names), rows)
