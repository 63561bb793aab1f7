"""The JSON that a client sends for a case of recorded data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import orjson

from features.contract import Contract
from scripts.replay.recordings import Case


def instance_body(contract: Contract, instance_id: str, case: Case) -> bytes:
    """Return the body of `POST /predict`, without values that were not recorded; categories go by name."""
    body: dict[str, Any] = {"id": instance_id, "schema_version": contract.schema_version}
    if contract.entity != "id":
        # a name may hold a slash too: what is left over belongs to the first
        values = case.recording.entity.rsplit("/", len(contract.entity_names) - 1)
        body |= dict(zip(contract.entity_names, values, strict=True))
    rows = [_members(contract, row) for row in case.samples.tolist()]
    return orjson.dumps(body | ({"samples": rows} if contract.window else rows[0]))


def _members(contract: Contract, row: Sequence[float]) -> dict[str, float | str]:
    return {
        spec.name: spec.categories[round(value)] if spec.categories else value
        for spec, value in zip(contract.fields, row, strict=True)
        if math.isfinite(value)
    }
