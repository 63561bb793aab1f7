"""A JSON body as a value, refused before it is read where it has far more parts than a right one can have."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json

from deployments.domain.errors import MalformedJson
from features.errors import BODY, FieldError

# A body of this size is read, whatever it is, within a millisecond or two.
SMALL_BODY_BYTES = 16 << 10


# of a single instance, alone or in a batch
MAX_INSTANCE_BYTES = 1 << 20


class PartCounts:
    """The bound on the parts of a body: its members and items.

    Each member has a colon, and each but the first of an object or list a comma before it. Texts may have
    either besides, so that a right body never has more than is allowed here.

    Args:
        most_parts: members and items of a right body.
        most_text: characters of all its texts together.
    """

    def __init__(self, most_parts: int, most_text: int) -> None:
        self._most_parts = most_parts
        self._most_marks = most_parts + most_text

    def check(self, body: bytes, place: str = BODY) -> None:
        """Refuse a body of too many parts.

        Raises:
            FieldError: with about how many it has.
        """
        if len(body) <= SMALL_BODY_BYTES:
            return
        marks = max(body.count(mark) for mark in (b":", b",", b"{", b"["))
        if marks > self._most_marks:
            raise FieldError(place, f"about {marks} members", f"at most {self._most_parts} members in all")


def read_json(body: bytes) -> Any:
    """Return the value of a JSON body.

    Raises:
        MalformedJson: it is none.
    """
    try:
        return from_json(body, cache_strings="keys")
    except ValueError as error:
        raise MalformedJson(f"The body is not JSON: {error}") from None


def check_members(value: Any, most: int, place: str = "") -> None:
    """Refuse an object, or an item of a list, with more members or items than `most`, however deep it lies.

    Raises:
        FieldError: with how many it has.
    """
    expect_members(value, most, place or BODY)
    if isinstance(value, dict):
        for name, part in value.items():
            check_members(part, most, f"{place}.{name}".removeprefix("."))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            check_members(part, most, f"{place}[{index}]")


def expect_members(value: Any, most: int, place: str = BODY) -> None:
    """Refuse an object or a list with more members or items than `most`.

    Raises:
        FieldError: with how many it has.
    """
    if isinstance(value, dict | list) and len(value) > most:
        what = "members" if isinstance(value, dict) else "items"
        raise FieldError(place, f"{len(value)} {what}", f"at most {most}")
