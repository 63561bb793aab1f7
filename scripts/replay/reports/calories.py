"""Recorded workouts: beside the served champions, families that learnt from other rows of the same file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from features.contract import Contract
from scripts.replay.reports.each import EachReport
from scripts.replay.text_tables import TextTable, number

if TYPE_CHECKING:
    import pandas as pd

    from training.runtime.bundle import Card

FOLDS = 5
_BASELINES = ("training.baselines.mean_by_duration",)


def cross_validated(contract: Contract, records: pd.DataFrame, cards: Mapping[str, Card]) -> list[TextTable]:
    """Errors of the families with the parameters of their champions, fitted on four fifths of the rows."""
    from training.pipeline.crossval import (
        cross_validate,  # scikit-learn and torch: not before they are needed
    )

    params = {card.family: card.params for card in cards.values()}
    found = cross_validate(contract, records, params, baselines=_BASELINES, folds=FOLDS)
    rows = []
    for name, metrics in found.metrics().items():
        errors = found.fold_errors(name)
        spread = f"{number(min(errors))} to {number(max(errors))}"
        rows.append((name, number(metrics[found.target.metric]), spread, number(metrics["mae"])))
    return [
        TextTable(
            f"{FOLDS}-fold on {len(found.truth):,} recorded rows",
            ("", found.target.metric, "in the parts", f"mae ({contract.target.unit})"),
            tuple(rows),
            "Families with the parameters of their champions, fitted on the other parts of the file.",
        )
    ]


REPORT = EachReport(
    about="The champions learnt from what the card's data hash says, by default made-up workouts; "
    "the recorded rows are new to them unless they were trained from this very file.",
    more=cross_validated,
)
