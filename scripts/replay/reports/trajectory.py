"""Recorded tracks: beside the served champions, families that learnt from other aircraft of the same file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from features.config import BUILT_IN, load_sections
from features.contract import Contract
from scripts.replay.reports.each import EachReport
from scripts.replay.text_tables import TextTable, number

if TYPE_CHECKING:
    import pandas as pd

    from training.runtime.bundle import Card

FOLDS = 10
_BASELINE = "constant_velocity"


def cross_validated(contract: Contract, records: pd.DataFrame, cards: Mapping[str, Card]) -> list[TextTable]:
    """Errors of the families with the parameters of their champions, by aircraft."""
    from training.config import TrainingConfig
    from training.pipeline.crossval import (
        cross_validate,  # scikit-learn and torch: not before they are needed
    )
    from training.pipeline.evaluation import shown_metrics

    params = {card.family: card.params for card in cards.values()}
    training = TrainingConfig.model_validate(load_sections(BUILT_IN, contract.workload)["training"])
    shares = training.shares
    found = cross_validate(
        contract,
        records,
        params,
        folds=FOLDS,
        rows=training.rows,
        valid_share=shares.valid / (shares.valid + shares.train),
    )
    scores, shown = found.metrics(), shown_metrics(contract.target)
    header = ["", *(name.replace("_", " ") for name in shown)]
    rows = [(name, *(number(metrics[one]) for one in shown)) for name, metrics in scores.items()]
    ratios = [
        (name, *(number(metrics[one] / scores[_BASELINE][one]) for one in shown))
        for name, metrics in scores.items()
    ]
    return [
        TextTable(
            f"{FOLDS}-fold by aircraft on {len(found.truth):,} windows, errors in m",
            tuple(header),
            tuple(rows),
            "Families with the parameters of their champions, fitted on the other aircraft of the file: what "
            "`raysonde train trajectory --data FILE` makes. Those that look at places learn the routes of "
            "the area, which champions that learnt from made-up vehicles cannot know.",
        ),
        TextTable(f"The same over the errors of `{_BASELINE}`", tuple(header), tuple(ratios)),
    ]


REPORT = EachReport(
    about="The champions learnt from what the card's data hash says, by default made-up vehicles; the "
    "tracks are new to them unless they were trained from this very file. `constant_velocity` is that "
    "of the last 40 s of positions, `reported_velocity` the ground speed and track that the aircraft sends.",
    more=cross_validated,
    by_file=True,
)
