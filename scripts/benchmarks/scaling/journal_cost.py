"""The cost of the store: the rows of 1,000 predictions, written into a fresh SQLite file."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from deployments.store import Store
from scripts.benchmarks.bench.journal_rows import prediction_row

_ROWS = 10_000
_BATCH = 500  # as `JournalWriter` writes under load


@dataclass(frozen=True)
class JournalCost:
    """Processor time and space of the rows."""

    cpu_s_per_1000: float
    bytes_each: float


def journal_cost(folder: Path, payload: str) -> JournalCost:
    """Measured in `folder`, which must have no store.

    Args:
        payload: of each row, a request's body.
    """
    path = folder / "journal-cost.db"
    store = Store(f"sqlite:///{path}")
    store.create_tables()
    rows = [prediction_row("mlp", 14.2, payload) for _ in range(_ROWS)]
    begun_s = time.process_time()
    for start in range(0, _ROWS, _BATCH):
        store.write_predictions(rows[start : start + _BATCH])
    spent_s = time.process_time() - begun_s
    store.close()
    used = sum(one.stat().st_size for one in folder.glob(f"{path.name}*"))
    return JournalCost(1000 * spent_s / _ROWS, used / _ROWS)
