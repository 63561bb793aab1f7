"""A benchmark workload that has grown: more arms, and a journal of predictions that have their truths."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from deployments.store import PredictionRecord, Store, Truth
from scripts.benchmarks.bench.journal_rows import TARGET, prediction_row
from scripts.benchmarks.bench.raysonde import WORKLOAD, lay_out_arms
from scripts.benchmarks.bench.table import NAMES, friedman, instances
from training.runtime.bundle import BundleParts, read_bundle, write_bundle

_ROWS_AT_ONCE = 2000
_SEED = 1


@dataclass(frozen=True)
class Size:
    """The size of a system: arms and rows of the journal.

    Attributes:
        arms: that share the requests evenly, each a deployment with a version of the same model.
        rows: predictions in the journal, each with its truth.
    """

    arms: int
    rows: int

    @property
    def name(self) -> str:
        """Return a name for a table."""
        return f"{self.arms} arms, {self.rows:,} rows"


def lay_out_grown(folder: Path, size: Size, bundle: Path, journal: Path) -> None:
    """Write the state of a system of this size into the new `folder`.

    An ensemble that is asked by name alone stands beside the arms, as in `calories`: it has the router follow
    the truths in the journal.

    Args:
        bundle: of the model.
        journal: from `fill_journal`; a copy of it is taken if the size has rows.
    """
    arms = [f"arm_{number}" for number in range(1, size.arms + 1)]
    bundles = [renamed(bundle, arm, folder / "bundles" / arm) for arm in arms]
    routing = {
        "weights": dict.fromkeys(arms, 1.0) | {"blend": 0.0},
        "sticky": False,
        "fallback": arms[:2],
        "ensembles": {"blend": {"arms": arms[:2]}},
    }
    lay_out_arms(folder, bundles, routing)
    if size.rows:
        shutil.copyfile(journal, folder / "var" / "store.db")


def renamed(bundle: Path, arm: str, target: Path) -> Path:
    """Write the same model as a bundle of another arm, in `target`."""
    found = read_bundle(bundle)
    parts = BundleParts(**{name: getattr(found, name) for name in BundleParts.__dataclass_fields__})
    target.parent.mkdir(parents=True, exist_ok=True)
    write_bundle(replace(parts, card=found.card.model_copy(update={"family": arm})), target)
    return target


def fill_journal(path: Path, rows: int) -> None:
    """Write a journal as routers do, `rows` predictions with their truths; nothing if it is there."""
    if path.is_file():
        return
    unfinished = path.with_suffix(".unfinished.db")
    for left in unfinished.parent.glob(f"{unfinished.name}*"):
        left.unlink()
    store = Store(f"sqlite:///{unfinished}")
    store.create_tables()
    for start in range(0, rows, _ROWS_AT_ONCE):
        made = list(_rows(min(_ROWS_AT_ONCE, rows - start), _SEED + start))
        store.write_predictions([row for row, _ in made])
        store.write_truths(WORKLOAD, [truth for _, truth in made])
    store.close()
    unfinished.rename(path)


def _rows(count: int, seed: int) -> Iterator[tuple[PredictionRecord, Truth]]:
    drawn = instances(count, seed)
    for x, y in zip(drawn.tolist(), friedman(drawn).tolist(), strict=True):
        payload = json.dumps({"row": "r1", **dict(zip(NAMES, x, strict=True))})
        row = prediction_row("arm_1", y + 0.5, payload)
        yield row, Truth(row.id, {TARGET: y})
