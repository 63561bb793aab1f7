"""The type of the id of an instance: text, or a whole number where a table numbers its rows by `id`.

A number is answered as the number that was sent; the journal keeps its text.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field, PlainValidator, WithJsonSchema

from features.contract import Contract

# no control characters, which would break a log line or a topic
_PATTERN = r"^[^\x00-\x1f\x7f-\x9f]+$"
MAX_NAME_LENGTH = 64
# what every JSON reader keeps as it is
_MAX_NUMBER = 2**53 - 1
_NAME_TEXT = f"1 to {MAX_NAME_LENGTH} printable characters"

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH, pattern=_PATTERN, strict=True)]


# a reason that people give; it reaches logs, tags and pages
Note = Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$")]


def is_name(text: str) -> bool:
    """Return whether a text is a `Name`, as every id in the store is."""
    return 0 < len(text) <= MAX_NAME_LENGTH and re.fullmatch(_PATTERN, text) is not None


def id_type(contract: Contract) -> Any:
    """Return the type of an instance's id, for a pydantic model."""
    if not takes_numbers(contract):
        return Name
    return Annotated[str | int, PlainValidator(_check), WithJsonSchema(id_schema(contract))]


def id_text(contract: Contract) -> str:
    """Return what an id may be, for errors."""
    return f"{_NAME_TEXT}, or a whole number" if takes_numbers(contract) else _NAME_TEXT


def id_schema(contract: Contract) -> dict[str, Any]:
    """Return the JSON Schema of an id."""
    text = {"type": "string", "minLength": 1, "maxLength": MAX_NAME_LENGTH, "pattern": _PATTERN}
    number = {"type": "integer", "minimum": -_MAX_NUMBER, "maximum": _MAX_NUMBER}
    return {"anyOf": [text, number]} if takes_numbers(contract) else text


def takes_numbers(contract: Contract) -> bool:
    """Return whether the contract's entity is the id itself."""
    return contract.entity == "id"


def _check(value: Any) -> str | int:
    # an exact type, since True is an int
    if type(value) is int and abs(value) <= _MAX_NUMBER:
        return value
    if isinstance(value, str) and is_name(value):
        return value
    raise ValueError("not an id")
