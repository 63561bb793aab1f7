"""Truths that are sent back: what is taken, and what is said of what is not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError
from toy.parts import toy_contract

from deployments.domain.errors import InvalidFields, MalformedJson, TooLarge
from deployments.requests.feedback import FeedbackParser
from deployments.store import Truth
from features.errors import FieldError
from tests.support.reentry import reentry_contract

TOY = FeedbackParser(toy_contract())
GOOD = {"id": "7", "truth": {"area_m2": 5.0}}
TIME = "2026-05-01T12:00:00Z"


def parse(body: Any, parser: FeedbackParser = TOY) -> list[Truth]:
    return parser.parse(json.dumps(body).encode())


def test_one_truth_and_a_list_of_them() -> None:
    at = datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert parse(GOOD) == [Truth("7", {"area_m2": 5.0}, None, with_key=False)]
    assert parse({"items": [GOOD, GOOD | {"id": "8", "observed_at": TIME}]}) == [
        Truth("7", {"area_m2": 5.0}, None, with_key=False),
        Truth("8", {"area_m2": 5.0}, at, with_key=False),
    ]


def test_a_number_as_id_is_kept_as_text_where_ids_are_the_entities() -> None:
    parser = FeedbackParser(toy_contract().model_copy(update={"entity": "id"}))
    assert parse(GOOD | {"id": 7}, parser) == parse(GOOD, parser)
    with pytest.raises(FieldError, match=r"expected the id of a prediction, .*, or a whole number"):
        parse(GOOD | {"id": 7.5}, parser)


@pytest.mark.parametrize(
    ("change", "field", "value", "expected"),
    [
        ({"id": 7}, "id", 7, "the id of a prediction, 1 to 64 printable characters"),
        ({"truth": 5}, "truth", 5, "an object with the value of the target"),
        ({"truth": {}}, "truth.area_m2", None, "a finite number of m2 in "),
        ({"truth": {"area_m2": -1}}, "truth.area_m2", -1, "a finite number of m2 in "),
        (
            {"truth": {"area_m2": 1, "b": 2}},
            "truth.b",
            2,
            "no member of this name; a truth has id, truth and, if you like, observed_at",
        ),
        (
            {"observed_at": "noon"},
            "observed_at",
            "noon",
            "a time with its zone, for example 2026-05-01T12:00",
        ),
        ({"observed_at": TIME[:-1]}, "observed_at", TIME[:-1], "a time with its zone"),
        ({"extra": 1}, "extra", 1, "no member of this name"),
    ],
)
def test_what_is_wrong_is_named_with_what_was_expected(
    change: dict[str, Any], field: str, value: Any, expected: str
) -> None:
    for body, prefix in ((GOOD | change, ""), ({"items": [GOOD, GOOD | change]}, "items[1].")):
        with pytest.raises(FieldError) as caught:
            parse(body)
        assert (caught.value.field, caught.value.value) == (prefix + field, value)
        assert caught.value.expected.startswith(expected)


@pytest.mark.parametrize(
    ("body", "field", "expected"),
    [
        ([], "body", 'an object: {"id", "truth", "observed_at"?} or {"items": [...]}'),
        ({"items": [1]}, "items[0]", 'an object: {"id", "truth"'),
        ({"items": []}, "items", "a list of at least one truth"),
        ({"items": 5}, "items", "a list of at least one truth"),
    ],
)
def test_what_is_no_truth_at_all(body: Any, field: str, expected: str) -> None:
    with pytest.raises(FieldError) as caught:
        parse(body)
    assert caught.value.field == field
    assert caught.value.expected.startswith(expected)


def test_several_faults_are_reported_together() -> None:
    with pytest.raises(InvalidFields) as caught:
        parse({"id": 7})
    assert [one.field for one in caught.value.errors] == ["id", "truth"]


def test_of_the_wrong_ones_of_a_list_the_first_is_named() -> None:
    """There may be thousands, and each would be named."""
    with pytest.raises(FieldError) as caught:
        parse({"items": [GOOD, GOOD | {"id": ""}, GOOD | {"id": 5}]})
    assert (caught.value.field, caught.value.value) == ("items[1].id", "")


def test_what_was_parsed_is_not_changed() -> None:
    parsed = TOY.model.model_validate({"items": [GOOD]})
    (item,) = vars(parsed)["items"]
    for model, name in ((parsed, "items"), (item, "id"), (item.truth, "area_m2")):
        with pytest.raises(ValidationError, match="Instance is frozen"):
            setattr(model, name, None)


def test_no_json_is_reported_as_such() -> None:
    with pytest.raises(MalformedJson, match="The body is not JSON: "):
        TOY.parse(b"{")


def test_ten_thousand_truths_are_taken_and_not_one_more() -> None:
    assert len(parse({"items": [GOOD] * 10_000})) == 10_000
    with pytest.raises(TooLarge, match=r"items: got .*, expected at most 10000"):
        parse({"items": [GOOD] * 10_001})


def test_a_class_is_sent_by_its_name() -> None:
    parser = FeedbackParser(reentry_contract())
    name = reentry_contract().target.name
    assert parse({"id": "7", "truth": {name: "reentry"}}, parser) == [
        Truth("7", {name: "reentry"}, None, with_key=False)
    ]
    with pytest.raises(FieldError, match="expected one of 'nominal', 'reentry'"):
        parse({"id": "7", "truth": {name: "landing"}}, parser)


NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "time",
    [
        *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59Z"),
        *(
            "1899-12-31T23:59:59Z",
            "2026-05-02T12:00:01Z",
            "2999-01-01T00:00:00Z",
            1e18,
            1e300,
            10**30,
            -(10**18),
        ),
    ],
)
def test_a_time_that_cannot_be_is_refused(time: Any) -> None:
    parser = FeedbackParser(toy_contract(), lambda: NOW)
    with pytest.raises(FieldError) as caught:
        parse(GOOD | {"observed_at": time}, parser)
    assert caught.value.field == "observed_at"


@pytest.mark.parametrize(
    "time", ["1900-01-01T00:00:00+14:00", "2026-05-02T12:00:00Z", "2026-05-01T00:00:00-08:00"]
)
def test_a_time_up_to_a_day_ahead_is_taken(time: str) -> None:
    (truth,) = parse(GOOD | {"observed_at": time}, FeedbackParser(toy_contract(), lambda: NOW))
    assert truth.observed_at == datetime.fromisoformat(time)


def test_a_long_body_that_is_no_list_is_refused_by_its_beginning() -> None:
    with pytest.raises(FieldError, match=r'expected \{"items": \[\.\.\.\]\} and nothing else'):
        parse(GOOD | {"more": "x" * 100_000})
