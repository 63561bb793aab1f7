"""Long lists, read a piece at a time: as a parser of the whole reads them, or refused."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.domain.errors import InvalidFields, MalformedJson, TooLarge
from deployments.requests import json_lists
from deployments.requests.json_bodies import SMALL_BODY_BYTES, PartCounts
from deployments.requests.json_lists import ListRules, read_list
from features.errors import FieldError

RULES = ListRules("items", "a list of at least one thing", 1000, 1 << 20, PartCounts(10_000, 10_000))
# longer than what is read at once
PADDING = {"padding": "x" * SMALL_BODY_BYTES}


def read(body: bytes, rules: ListRules = RULES) -> list[Any]:
    return [item for items in read_list(body, rules) for item in items]


texts = st.text(alphabet=st.sampled_from('{}[]",:\\ \n\tabé\U0001f600'), max_size=12)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)


@given(st.lists(values, max_size=30), st.sampled_from([None, 2]), st.integers(1, 100), st.booleans())
def test_items_are_those_of_a_parser_wherever_the_pieces_end(
    items: list[Any], indent: int | None, piece_bytes: int, ascii_only: bool
) -> None:
    sent = [{}, *items]
    body = json.dumps({"items": sent}, indent=indent, ensure_ascii=ascii_only).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_lists, "SMALL_BODY_BYTES", 0)
        patch.setattr(json_lists, "_SEARCHED_BYTES", piece_bytes)
        patch.setattr(json_lists, "_PARSED_BYTES", piece_bytes)
        found = read(body)
    assert [item.value for item in found] == sent
    assert [json.loads(item.text) for item in found if item.text] == [
        item.value for item in found if item.text
    ]


@given(st.text(alphabet='{}[]",: \\a1\n', max_size=40), st.integers(1, 30))
def test_what_is_no_json_is_refused_as_a_parser_refuses_it(text: str, piece_bytes: int) -> None:
    body = b'{"items": [{}' + text.encode()
    try:
        right = json.loads(body)
    except ValueError:
        right = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_lists, "SMALL_BODY_BYTES", 0)
        patch.setattr(json_lists, "_SEARCHED_BYTES", piece_bytes)
        try:
            found = [item.value for item in read(body)]
        except (MalformedJson, FieldError):
            # of two members with one name a parser takes the last
            assert right is None or set(right) != {"items"} or text.count('"items"')
        else:
            assert right == {"items": found}


@pytest.mark.parametrize(
    ("rest", "error"),
    [
        ("", "it ends before items does"),
        ("]", "body: got ']', expected {\"items\": [...]} and nothing else"),
        ("]}}", "body: got ']}}', expected"),
        ('], "more": 1}', "body: got "),
        (",]}", "trailing comma"),
        (",,{}]}", "expected value"),
        ("{}]}", "expected `,` or `]`"),
        (",{", "it ends before items does"),
        (",{]}", "a bracket closes items that is none of a list"),
        (",{1]]}", "key must be a string"),
        (",\\u0000]}", "expected value"),
    ],
)
def test_what_is_wrong_with_a_long_list_is_said(rest: str, error: str) -> None:
    body = ('{"items": [' + json.dumps(PADDING) + ", {}" * 100 + rest).encode()
    with pytest.raises((MalformedJson, FieldError)) as caught:
        read(body)
    assert error in str(caught.value)
    assert len(str(caught.value)) < 300


def test_more_items_than_allowed_are_refused_before_any_is_read() -> None:
    body = b'{"items":[' + b"{}," * 3_000_000 + b"{}]}"
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match=r"items: got \d+ or more, expected at most 1000"):
            read(body)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 5 << 20


@pytest.mark.parametrize(
    "item",
    ['{"a": "' + "x" * (1 << 20) + '"}', "[" * (1 << 21), "1" * (1 << 21), "1," * (1 << 20) + "1"],
    ids=["text", "brackets", "digits", "scalars"],
)
def test_an_item_longer_than_allowed_is_refused(item: str) -> None:
    with pytest.raises(TooLarge, match="an item of more than 1,048,576 bytes"):
        read(f'{{"items": [{{}}, {item}]}}'.encode())


def test_an_item_of_far_too_many_parts_is_refused_before_it_is_read() -> None:
    item = json.dumps({f"m{number}": 1 for number in range(30_000)})
    with pytest.raises(FieldError, match=r"items\[1\]: got 'about 30000 members', expected at most 10000"):
        read(f'{{"items": [{{}}, {item}]}}'.encode())


@pytest.mark.parametrize("shape", [b"[%s]", b'{"x": [%s]}', b"%s", b'{"a": 1, "items": [%s]}'])
def test_another_shape_is_refused_by_its_beginning(shape: bytes) -> None:
    with pytest.raises(FieldError, match=r'body: got .*, expected \{"items": \[\.\.\.\]\} and nothing else'):
        read(shape % (b"{}," * 3_000_000 + b"{}"))


def test_of_a_short_body_each_fault_is_named() -> None:
    with pytest.raises(InvalidFields) as caught:
        read(json.dumps({f"m{number}": 1 for number in range(50)}).encode())
    assert [one.field for one in caught.value.errors][:3] == ["items", "m0", "m1"]
    assert (len(caught.value.errors), caught.value.more) == (20, 31)
