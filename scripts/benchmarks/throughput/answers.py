"""Requests of `scripts.benchmarks.throughput`, made from the example of a contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from features.contract import Contract
from features.windows import cut_window
from scripts.replay.client import Connection

WINDOW_FIELDS = 4
_BODIES = 4
_ENTITIES = 16


def auth_headers(place: Connection) -> dict[str, str]:
    """Return the headers of every request."""
    key = {"Authorization": f"Bearer {place.key}"} if place.key else {}
    return {"Content-Type": "application/json", **key}


def request_bodies(example: Mapping[str, Any], rows: int) -> list[bytes]:
    """Return some batches of so many rows, without ids: each row is a new one to the journal."""
    rng = np.random.default_rng(0)
    row = {name: value for name, value in example.items() if name != "id"}
    return [
        orjson.dumps({"instances": [_varied(row, rng.uniform(0.9, 1.0)) for _ in range(rows)]})
        for _ in range(_BODIES)
    ]


def window_instances(contract: Contract) -> list[dict[str, Any]]:
    """Return the example with a sample at each step of its window, with the first `WINDOW_FIELDS` fields.

    A few, which differ in the entity, so that all arms get their share.
    """
    example, names = contract.example, contract.field_names
    rows = [[sample.get(name, np.nan) for name in names] for sample in example["samples"]]
    steps = cut_window(contract, np.array(rows, dtype=np.float64)).values[:, :WINDOW_FIELDS]
    samples = [dict(zip(names, row, strict=False)) for row in steps.round(3).tolist()]
    entity = contract.entity_names[0]
    return [{**example, entity: f"entity-{number}", "samples": samples} for number in range(_ENTITIES)]


def _varied(row: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """Numbers a little smaller than those of the example, which are well within their ranges."""
    return {
        name: round(value * factor, 1) if isinstance(value, float | int) else value
        for name, value in row.items()
    }
