"""Errors of an input, with what its sender needs to mend it.

InvalidInput
 |- FieldError            one field: which, its value, what was expected
 `- SchemaVersionError    the sender speaks another version of the contract
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class InvalidInput(ValueError):
    """Base of everything that a sender can get wrong."""


# The name of the whole in the path of a field.
BODY = "body"
_MAX_INT_BITS = 1000
# No text of an error is longer, whatever was sent: see docs/decisions/0027-bounds-on-what-is-sent.md.
_MAX_FIELD = 160
_MAX_EXPECTED = 400


class FieldError(InvalidInput):
    """A field that holds what its contract does not allow.

    Args:
        field: path of the field, for example ``samples[3].altitude_m``; cut when it is long.
        value: what was sent, of any size; it is shown cut.
        expected: what would have been accepted, in words with units; cut when it is long.
    """

    def __init__(self, field: str, value: Any, expected: str) -> None:
        field, expected = escaped(field, _MAX_FIELD), escaped(expected, _MAX_EXPECTED)
        super().__init__(f"{field}: got {printable(value)}, expected {expected}")
        self.field = field
        self.value = value
        self.expected = expected

    def within(self, place: str) -> FieldError:
        """Return the error of the same field in a whole, of which the present one is the part `place`."""
        return FieldError(place if self.field == BODY else f"{place}.{self.field}", self.value, self.expected)


class SchemaVersionError(InvalidInput):
    """The sender's ``schema_version`` is not the one that the contract has."""

    def __init__(self, sent: str, served: str) -> None:
        super().__init__(f"schema_version: got {printable(sent)}, expected {served!r}")
        self.field = "schema_version"
        self.value = sent
        self.expected = repr(served)


def cut(text: str, limit: int) -> str:
    """Return the text, never longer than `limit`."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def escaped(text: str, limit: int) -> str:
    """Return the text, never longer than `limit`, with what would break a line or a terminal escaped."""
    text = cut(text, limit)
    return text if text.isprintable() else cut(repr(text)[1:-1], limit)


def printable(value: Any, limit: int = 80) -> str:
    """Return a value as errors show it: its repr, no longer than `limit`, nor made longer than shown."""
    pieces: list[str] = []
    length = 0
    for piece in _repr_pieces(value, limit):
        pieces.append(piece)
        length += len(piece)
        if length > limit:
            break
    return cut("".join(pieces), limit)


def _repr_pieces(value: Any, limit: int) -> Iterator[str]:
    """Yield the repr of JSON piece by piece; what is cut from a text lies beyond `limit`."""
    if isinstance(value, dict):
        for number, (name, member) in enumerate(value.items()):
            yield ", " if number else "{"
            yield from _repr_pieces(name, limit)
            yield ": "
            yield from _repr_pieces(member, limit)
        yield "}" if value else "{}"
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield ", " if number else "["
            yield from _repr_pieces(item, limit)
        yield "]" if value else "[]"
    elif isinstance(value, str | bytes):
        yield repr(value[: limit + 1])
    elif isinstance(value, int) and value.bit_length() > _MAX_INT_BITS:
        yield f"a whole number of {value.bit_length():,} bits"  # Python refuses to write the longest ones
    else:
        yield repr(value)
