"""What an id may be: where the longest, the largest and the last printable one lie."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from toy.parts import toy_contract

from deployments.domain.ids import id_schema, id_text, id_type, takes_numbers

NAMED = toy_contract()
NUMBERED = NAMED.model_copy(update={"entity": "id"})
MOST = 2**53 - 1


def accepts(contract: Any, value: Any) -> bool:
    adapter = TypeAdapter(id_type(contract))
    try:
        return bool(adapter.validate_python(value) == value)
    except ValidationError:
        return False


@pytest.mark.parametrize(
    ("value", "is_name"),
    [
        ("a", True),
        ("é 1/#", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("", False),
        ("a\nb", False),
        ("a\n", False),
        ("\x1f", False),
        (" ", True),
        ("\x7e", True),
        ("\x7f", False),
        ("\x9f", False),
        ("\xa0", True),
        (None, False),
        (1.0, False),
        (b"a", False),
    ],
)
def test_a_name_has_1_to_64_printable_characters(value: object, is_name: bool) -> None:
    assert accepts(NAMED, value) == is_name
    assert accepts(NUMBERED, value) == is_name


@pytest.mark.parametrize(
    ("value", "is_number"),
    [(0, True), (MOST, True), (-MOST, True), (MOST + 1, False), (-MOST - 1, False), (True, False)],
)
def test_a_number_is_one_that_json_keeps_where_ids_are_the_entities(value: int, is_number: bool) -> None:
    assert accepts(NUMBERED, value) == is_number
    assert not accepts(NAMED, value)


def test_ids_in_the_schema() -> None:
    assert (takes_numbers(NAMED), takes_numbers(NUMBERED)) == (False, True)
    assert id_text(NAMED) == "1 to 64 printable characters"
    assert id_text(NUMBERED) == "1 to 64 printable characters, or a whole number"
    text = {
        "type": "string",
        "minLength": 1,
        "maxLength": 64,
        "pattern": r"^[^\x00-\x1f\x7f-\x9f]+$",
    }
    assert id_schema(NAMED) == text
    number = {"type": "integer", "minimum": -MOST, "maximum": MOST}
    assert id_schema(NUMBERED) == {"anyOf": [text, number]}
