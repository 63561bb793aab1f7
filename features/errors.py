"""Errors of an input, with what its sender needs to mend it.

InvalidInput
 |- FieldError            one field: which, its value, what was expected
 `- SchemaVersionError    the sender speaks another version of the contract
"""

from __future__ import annotations

import math
from typing import Any


class InvalidInput(ValueError):
    """Base of everything that a sender can get wrong."""


class FieldError(InvalidInput):
    """A field that holds what its contract does not allow.

    Args:
        field: path of the field, for example ``samples[3].altitude_m``.
        value: what was sent, already cut to a printable size by the caller if it is large.
        expected: what would have been accepted, in words with units.
    """

    def __init__(self, field: str, value: Any, expected: str) -> None:
        super().__init__(f"{field}: got {printable(value)}, expected {expected}")
        self.field = field
        self.value = value
        self.expected = expected


class SchemaVersionError(InvalidInput):
    """The sender's ``schema_version`` is not the one that the contract has."""

    def __init__(self, sent: str, served: str) -> None:
        super().__init__(f"schema_version: got {sent!r}, expected {served!r}")
        self.field = "schema_version"
        self.value = sent
        self.expected = repr(served)


def printable(value: Any, limit: int = 80) -> str:
    """Return a value as errors show it: its repr, NaN and infinities by name, no longer than `limit`."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
