"""The page of `raysonde results`: for each workload arms and baselines side by side, as Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from features.contract import Contract
from scripts.replay.text_tables import TextTable, number
from training.runtime.bundle import Card


@dataclass(frozen=True)
class Section:
    """The section of the page about one workload.

    Attributes:
        about: what was recorded, and what of it the models may have seen.
        tables: on recorded data.
        cards: of the arms.
        command: makes this section alone.
    """

    contract: Contract
    about: str
    tables: Sequence[TextTable]
    cards: Mapping[str, Card]
    command: str


def page(sections: Sequence[Section], command: str) -> str:
    """Return the whole page, made by `command`."""
    introduction = (
        "Models that `raysonde train` made, asked about recorded data without a running system. Made with:"
    )
    parts = ["# Results", introduction, _code(command)]
    return "\n\n".join([*parts, *(_section(section, command) for section in sections)]) + "\n"


def _section(section: Section, page_command: str) -> str:
    tables = [*section.tables, held_out(section.contract, section.cards), _provenance(section.cards)]
    parts = [
        f"## {section.contract.workload}",
        " ".join(part for part in (section.contract.description, section.about) if part),
    ]
    if section.command != page_command:
        parts += ["The tables of this section alone:", _code(section.command)]
    return "\n\n".join([*parts, *(table.markdown() for table in tables)])


def held_out(contract: Contract, cards: Mapping[str, Card]) -> TextTable:
    """Return the table of what training measured on its own held-out data."""
    measured = {arm: card.metrics for arm, card in cards.items()}
    for card in cards.values():
        for name, metrics in card.baselines.items():
            measured.setdefault(name, metrics)
    metric = contract.target.metric
    names = list(dict.fromkeys([metric, *(name for metrics in measured.values() for name in metrics)]))
    baseline = next((name for name in measured if name not in cards), "")
    against = measured.get(baseline, {}).get(metric, math.nan) or math.nan
    rows = []
    for arm, metrics in measured.items():
        cells = [number(metrics.get(name, math.nan)) for name in names]
        cells.insert(1, number(metrics.get(metric, math.nan) / against))
        rows.append((arm, *cells))
    header = ["", *(name.replace("_", " ") for name in names)]
    header.insert(2, f"{metric.replace('_', ' ')} / {baseline}" if baseline else "")
    return TextTable(
        "On held-out data of the training",
        tuple(header),
        tuple(rows),
        "Entities, or the last span of time, that no model was fitted on.",
    )


def _provenance(cards: Mapping[str, Card]) -> TextTable:
    rows = tuple(
        (arm, card.git_commit[:12], card.data_hash.removeprefix("sha256:")[:12], str(card.seed))
        for arm, card in cards.items()
    )
    return TextTable("The models", ("arm", "trained at commit", "on data", "seed"), rows)


def _code(command: str) -> str:
    return f"```\n{command}\n```"
