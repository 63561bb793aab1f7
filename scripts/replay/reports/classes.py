"""Workloads that say which of several classes something is, window after window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from features.contract import Contract
from features.targets import ClassTarget
from scripts.replay.horizon_errors import Predictions, TimedPrediction
from scripts.replay.recordings import Recording
from scripts.replay.reports.each import EachReport
from scripts.replay.scores import answers_by, names_in, score_predictions
from scripts.replay.text_tables import TextTable, number

_COUNTS = ("true_positives", "false_positives", "false_negatives", "true_negatives")
_RATES = ("precision", "recall", "f1", "roc_auc")


@dataclass(frozen=True)
class ClassReport(EachReport):
    """The `scripts.replay.reports.base.Report` of such a workload, told apart by what recorded the tracks.

    Attributes:
        field: what the pictures show beside the probability.
        most_pictures: of one replay; the recordings with both classes come first.
    """

    field: str = ""
    most_pictures: int = 12

    def tables(self, contract: Contract, predictions: Predictions, arms: Sequence[str]) -> list[TextTable]:
        """Return the headline, then the counts of hits and mistakes for each kind of recording."""
        sources = list(dict.fromkeys(recording.source for recording in predictions))
        headline = self.headline(contract, predictions, arms)
        return [headline, *(_counts(contract, predictions, source) for source in sources)]

    def draw(
        self, directory: Path, contract: Contract, predictions: Predictions, best: str
    ) -> Iterator[Path]:
        """Draw a picture of each of the first recordings."""
        from scripts.replay.plots.classes import draw_track  # matplotlib

        column = _positive(contract)
        ordered = sorted(predictions.items(), key=lambda item: not _has_class(item[1], column))
        for recording, answers in islice(ordered, self.most_pictures):
            yield draw_track(
                directory, contract, recording, answers, best, self.field or contract.field_names[-1]
            )


def _counts(contract: Contract, predictions: Predictions, source: str) -> TextTable:
    """Arms and baselines about the recordings of one kind."""
    mine: dict[Recording, Mapping[str, Sequence[TimedPrediction]]] = {
        recording: answers for recording, answers in predictions.items() if recording.source == source
    }
    scores = {name: score_predictions(answers_by(mine, name), contract.target) for name in names_in(mine)}
    rows = tuple(
        (
            name,
            *(f"{score.error(count):,.0f}" for count in _COUNTS),
            *(number(score.error(rate)) for rate in _RATES),
        )
        for name, score in scores.items()
    )
    count = max((score.count for score in scores.values()), default=0)
    title = f"{source or 'All'}: {count:,} predictions about {len(mine):,} recordings"
    header = ("", *(name.replace("_", " ") for name in (*_COUNTS, *_RATES)))
    return TextTable(title, header, rows)


def _positive(contract: Contract) -> int:
    target = contract.target
    assert isinstance(target, ClassTarget), "only classes are counted"
    return target.classes.index(target.positive)


def _has_class(answers: Mapping[str, Sequence[TimedPrediction]], column: int) -> bool:
    """Return whether the truth is of this class at some time."""
    return any(one.known and one.truth == column for ones in answers.values() for one in ones)
