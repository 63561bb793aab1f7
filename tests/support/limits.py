"""What a model of settings takes, member by member: to pin what users rely on."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

_WORDS = ("default", "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")


def limits_of(model: type[BaseModel]) -> dict[str, dict[str, Any]]:
    """Default and limits of each member that is a number, a truth value or a word."""
    found = {}
    for name, schema in model.model_json_schema()["properties"].items():
        parts = [schema, *schema.get("anyOf", ())]
        limits = {word: part[word] for part in parts for word in _WORDS if word in part}
        if not isinstance(limits.get("default"), dict):
            found[name] = limits
    return found
