"""Texts of errors: short, whatever they show."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import FieldError, SchemaVersionError, cut, printable

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
)


@given(values, st.integers(20, 100))
def test_a_value_is_shown_by_its_repr_cut(value: Any, limit: int) -> None:
    shown = printable(value, limit)
    assert len(shown) <= limit
    whole = repr(value)
    if len(whole) <= limit:
        assert shown == whole
    else:
        # a text is cut before it is quoted, which may choose the other quotes
        assert shown.endswith("...")
        assert shown[1:8] == whole[1:8]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        ("a\nb", r"'a\nb'"),
        ({}, "{}"),
        ([], "[]"),
        ({"a": [1, None, {"b": True}]}, "{'a': [1, None, {'b': True}]}"),
        pytest.param(10**5000, "a whole number of 16,610 bits", id="5001 digits"),
    ],
)
def test_how_values_are_shown(value: Any, shown: str) -> None:
    assert printable(value) == shown


class Watched(list[dict[str, int]]):
    """A list that counts what is looked at."""

    looked_at = 0

    def __iter__(self) -> Iterator[dict[str, int]]:
        for item in super().__iter__():
            self.looked_at += 1
            yield item


def test_of_a_large_value_no_more_is_looked_at_than_is_shown() -> None:
    value = Watched([{}] * 1000)
    assert printable({"a": value, "x" * 10_000_000: value}).startswith("{'a': [{}, {}")
    assert value.looked_at < 40


def test_every_text_of_an_error_is_cut() -> None:
    error = FieldError("f" * 10_000, "v" * 10_000, "e" * 10_000).within("p" * 10_000)
    assert len(error.field) + len(error.expected) + len(str(error)) < 2000
    other = SchemaVersionError("v" * 900_000, "1.0")
    assert len(str(other)) < 200
    assert (other.field, other.expected) == ("schema_version", "'1.0'")
    assert (cut("abcdef", 6), cut("abcdefg", 6)) == ("abcdef", "abc...")


def test_an_error_of_a_part_is_one_of_the_whole() -> None:
    inner = FieldError("altitude_m", "x", "a number").within("instances[3]")
    whole = FieldError("body", 5, "an object").within("instances[3]")
    assert (inner.field, whole.field) == ("instances[3].altitude_m", "instances[3]")
