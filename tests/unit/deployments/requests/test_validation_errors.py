"""What pydantic found wrong, in the contract's words."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError
from toy.parts import toy_contract

from deployments.domain.errors import InvalidFields, MalformedJson
from deployments.requests.validation_errors import path_text, read_model, translate
from features.errors import FieldError, SchemaVersionError
from tests.support.models import apogee_contract

TOY, APOGEE = toy_contract(), apogee_contract()


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ((), ""),
        (("a",), "a"),
        (("samples", 3, "altitude_m"), "samples[3].altitude_m"),
        ((2, "a"), "[2].a"),
        (("instances", 0), "instances[0]"),
    ],
)
def test_where_it_is(location: tuple[int | str, ...], text: str) -> None:
    assert path_text(location) == text


def found(contract: Any, *errors: tuple[str, tuple[int | str, ...], Any]) -> Exception:
    """What becomes of pydantic's errors of these types, places and inputs."""
    lines: Any = [
        {"type": kind, "loc": place, "input": value, "ctx": CONTEXT.get(kind, {})}
        for kind, place, value in errors
    ]
    return translate(contract, ValidationError.from_exception_data("body", lines))


CONTEXT = {"json_invalid": {"error": "EOF"}, "literal_error": {"expected": "'1.0'"}}


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (("length_m",), "a finite number of m in [0, 10]"),
        (("id",), "1 to 64 printable characters"),
        (("thing",), "1 to 64 printable characters"),
        (("samples",), "an object"),
        ((), "an object"),
    ],
)
def test_what_was_expected(place: tuple[str, ...], expected: str) -> None:
    error = found(TOY, ("string_type", place, 5))
    assert isinstance(error, FieldError)
    assert (error.field, error.value, error.expected) == (".".join(place) or "body", 5, expected)


@pytest.mark.parametrize(
    ("contract", "place", "field", "expected"),
    [
        (APOGEE, ("samples", 2, "pitch_deg"), "samples[2].pitch_deg", "a finite number of deg in [-90, 90]"),
        (APOGEE, ("samples", 2), "samples[2]", "an object"),
    ],
)
def test_the_last_of_a_path_says_what_was_expected(
    contract: Any, place: tuple[int | str, ...], field: str, expected: str
) -> None:
    error = found(contract, ("string_type", place, 5))
    assert isinstance(error, FieldError)
    assert (error.field, error.expected) == (field, expected)


def test_what_is_missing_has_no_value() -> None:
    error = found(TOY, ("missing", ("length_m",), {"width_m": 1}))
    assert isinstance(error, FieldError)
    assert (error.field, error.value) == ("length_m", None)


def test_how_many_samples_a_window_takes() -> None:
    error = found(APOGEE, ("list_type", ("samples",), 5))
    assert isinstance(error, FieldError)
    assert error.expected == "a list of 2 to 4096 samples"


@pytest.mark.parametrize(
    ("contract", "place", "members"),
    [
        (TOY, ("x",), "id, schema_version, thing, length_m, width_m, noise"),
        (APOGEE, ("x",), "id, schema_version, flight_id, samples"),
        (APOGEE, ("samples", 0, "x"), ", ".join(APOGEE.field_names)),
    ],
)
def test_which_members_there_are_instead(contract: Any, place: tuple[int | str, ...], members: str) -> None:
    error = found(contract, ("extra_forbidden", place, 1))
    assert isinstance(error, FieldError)
    assert error.expected == f"no field of this name; the fields are {members}"


def test_another_schema_version_stands_before_all_else() -> None:
    wrong = ("string_type", ("id",), 5)
    error = found(TOY, wrong, ("literal_error", ("schema_version",), "0.9"))
    assert isinstance(error, SchemaVersionError)
    several = found(TOY, wrong, ("missing", ("length_m",), {}))
    assert isinstance(several, InvalidFields)
    assert [one.field for one in several.errors] == ["id", "length_m"]
    other = found(TOY, ("literal_error", ("noise",), "0.9"))
    assert isinstance(other, FieldError)
    version = found(TOY, ("string_type", ("schema_version",), 1))
    assert isinstance(version, FieldError)
    assert version.expected == "'1.0'"


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int
    b: int = 0


def test_a_body_is_read_or_its_faults_are_reported() -> None:
    assert read_model(Body, b'{"a": 1}') == Body(a=1)
    with pytest.raises(MalformedJson, match="The body is not JSON: "):
        read_model(Body, b"{")
    with pytest.raises(FieldError, match="policy: got 5, expected Input should be an object"):
        read_model(Body, b"5", "policy")
    with pytest.raises(FieldError, match="a: got 'x', expected Input should be a valid integer"):
        read_model(Body, b'{"a": "x"}')
    with pytest.raises(InvalidFields) as caught:
        read_model(Body, b'{"b": "x", "c": 1}')
    assert [one.field for one in caught.value.errors] == ["a", "b", "c"]
