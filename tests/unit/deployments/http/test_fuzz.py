"""Requests made up from an OpenAPI document, and changed examples: some of what `make fuzz` sends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.databases import Databases, one_of
from tests.support.fuzzing import FEW_EXAMPLES, fuzz, fuzz_examples, fuzzed_system


@pytest.mark.parametrize("workload", ["apogee", "calories"])
def test_every_request_is_answered_below_500(workload: str, databases: Databases, tmp_path: Path) -> None:
    with one_of(databases) as url, fuzzed_system(workload, url, tmp_path) as system:
        assert fuzz(system, FEW_EXAMPLES) > 100
        assert fuzz_examples(system, 4 * FEW_EXAMPLES) > 100


def refs(part: Any) -> list[str]:
    if isinstance(part, dict):
        here = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return here + [ref for one in part.values() for ref in refs(one)]
    return [ref for one in part for ref in refs(one)] if isinstance(part, list) else []


@pytest.mark.parametrize("workload", ["apogee", "calories", "trajectory", "reentry", "weather"])
def test_every_reference_of_a_document_resolves(workload: str, tmp_path: Path) -> None:
    with fuzzed_system(workload, f"sqlite:///{tmp_path}/store.db", tmp_path) as system:
        document = system.document
    for ref in set(refs(document)):
        place: Any = document
        for name in ref.removeprefix("#/").split("/"):
            place = place[name]
        assert isinstance(place, dict)
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for operation in (one for path in document["paths"].values() for one in path.values()):
        if "parameters" in operation or "requestBody" in operation:
            assert operation["responses"]["422"]["content"] == problem


def unbounded(schema: Any, place: str = "") -> list[str]:
    """Return where a schema takes a text, a list, an object or a whole number of any size."""
    if isinstance(schema, list):
        return [one for number, part in enumerate(schema) for one in unbounded(part, f"{place}/{number}")]
    if not isinstance(schema, dict):
        return []
    kinds = {
        "string": ("maxLength", "enum", "const", "format"),
        "integer": ("maximum", "enum"),
        "number": ("maximum", "enum"),
        "array": ("maxItems",),
        "object": ("maxProperties", "properties"),
    }
    kind = schema.get("type")
    here = [place] if kind in kinds and not schema.keys() & set(kinds[kind]) else []
    if "properties" in schema and schema.get("additionalProperties") is not False:
        here.append(f"{place}: other members")
    inner = [
        (f"{place}/{name}", part) for name, part in schema.items() if name not in ("example", "examples")
    ]
    return here + [one for name, part in inner for one in unbounded(part, name)]


@pytest.mark.parametrize("workload", ["apogee", "calories", "trajectory", "reentry", "weather"])
def test_every_part_of_every_body_is_bounded(workload: str, tmp_path: Path) -> None:
    with fuzzed_system(workload, f"sqlite:///{tmp_path}/store.db", tmp_path) as system:
        paths = system.document["paths"]
    bodies = {
        f"{method} {path}": operation["requestBody"]["content"]["application/json"]["schema"]
        for path, operations in paths.items()
        for method, operation in operations.items()
        if "requestBody" in operation
    }
    assert len(bodies) >= 6
    assert {name: unbounded(schema) for name, schema in bodies.items()} == {name: [] for name in bodies}
