"""Fields that hold one of a few names, in contracts, requests and tables; and ids that are numbers."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from toy.parts import toy_contract

from deployments.domain.errors import InvalidFields
from deployments.domain.instances import Instance
from deployments.http.openapi import prediction_schema
from deployments.requests.feedback import FeedbackParser
from deployments.requests.parser import InstanceParser
from deployments.requests.schema import instance_json_schema
from features.contract import Contract, FieldSpec
from features.errors import FieldError
from training.data.dataset import read_matrix

SIZE = {"name": "Size", "kind": "category", "categories": ["small", "large"], "description": "of the shirt"}
SECTION: dict[str, Any] = {
    "workload": "shirts",
    "schema_version": "1.0",
    "module": "none",
    "entity": "id",
    "fields": [{"name": "Age", "unit": "year", "min": 0, "max": 9}, SIZE],
    "target": {"name": "Price", "unit": "EUR", "min": 0, "max": 99},
}
SHIRTS = Contract.model_validate(SECTION)


def parse(**members: Any) -> Instance:
    return InstanceParser(SHIRTS, lambda: "made").parse_instance(json.dumps({"Age": 3} | members).encode())


def test_a_category_is_sent_by_name_and_kept_as_its_index() -> None:
    assert parse(Size="small").raw.tolist() == [3, 0]
    assert parse(Size="large").raw.tolist() == [3, 1]


@pytest.mark.parametrize("wrong", ["Large", "", 1, 0.0, True, None, ["small"]])
def test_another_name_is_refused_with_those_there_are(wrong: Any) -> None:
    with pytest.raises(FieldError) as caught:
        parse(Size=wrong)
    error = caught.value
    assert (error.field, error.value, error.expected) == ("Size", wrong, "one of 'small', 'large'")


def test_a_category_that_is_not_sent_is_refused() -> None:
    with pytest.raises(FieldError, match=r"^Size: got None, expected one of 'small', 'large'$"):
        parse()


def test_the_schema_lists_the_categories() -> None:
    schema = instance_json_schema(SHIRTS)
    assert schema["properties"]["Size"]["enum"] == ["small", "large"]
    assert schema["properties"]["Size"]["description"] == "of the shirt"
    assert schema["required"] == ["Age", "Size"]
    jsonschema.validate({"id": 4, "Age": 3, "Size": "small"}, schema)
    for wrong in ({"Size": "Small"}, {"Size": "small", "id": 1.5}, {"Size": "small", "id": ""}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"Age": 3} | wrong, schema)


def test_tables_are_read_as_requests_are() -> None:
    table = pd.DataFrame({"Size": ["large", "small", "large"], "Age": [1, 2, 3]})
    np.testing.assert_array_equal(read_matrix(SHIRTS, table), [[1, 1], [2, 0], [3, 1]])
    for column in (table["Size"].astype("category"), table["Size"].astype("string[pyarrow]")):
        again = read_matrix(SHIRTS, table.assign(Size=column))
        np.testing.assert_array_equal(again, read_matrix(SHIRTS, table))


@pytest.mark.parametrize("wrong", ["Small", None, 7])
def test_a_table_with_another_name_is_refused(wrong: Any) -> None:
    table = pd.DataFrame({"Size": ["large", wrong], "Age": [1, 2]})
    with pytest.raises(FieldError, match=r"Size: got .*, expected one of 'small', 'large'"):
        read_matrix(SHIRTS, table)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (SIZE | {"categories": ["small"]}, r"Size.categories: got \['small'\], expected at least two"),
        (SIZE | {"categories": ["small", "small"]}, "expected at least two, all different"),
        (SIZE | {"max": 3}, "Size: a category has no min, max or fill"),
        (SIZE | {"fill": {"constant": 0}}, "Size: a category has no min, max or fill"),
        (SIZE | {"kind": "number", "unit": "", "min": 0, "max": 1}, "expected none of a number"),
        ({"name": "Size", "unit": "m"}, "min"),
    ],
)
def test_a_field_that_does_not_hold_is_refused(field: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        FieldSpec.model_validate(field)


def test_windows_have_no_categories() -> None:
    window = {"time": "Age", "length_s": 1, "stride_s": 1, "rate_hz": 2, "max_gap_s": 1}
    with pytest.raises(ValidationError, match=r"got the categories \['Size'\] in a window"):
        Contract.model_validate(SECTION | {"window": window})


def test_a_logarithmic_metric_needs_a_target_that_is_not_negative() -> None:
    target = SECTION["target"] | {"min": -1, "metric": "rmsle"}
    with pytest.raises(ValidationError, match=r"min: got -1, expected 0 or more"):
        Contract.model_validate(SECTION | {"target": target})


def test_contracts_are_the_same_after_json() -> None:
    text = SHIRTS.model_dump_json(by_alias=True)
    assert Contract.model_validate_json(text) == SHIRTS


def test_contracts_of_older_bundles_are_read() -> None:
    older = json.loads(toy_contract().model_dump_json(by_alias=True))
    for spec in older["fields"]:
        del spec["kind"], spec["categories"]
    del older["target"]["metric"]
    assert Contract.model_validate(older) == toy_contract()


@pytest.mark.parametrize("sent", [7, 0, -3, 2**53 - 1, "7", "x y"])
def test_an_id_is_answered_as_it_was_sent(sent: Any) -> None:
    instance = parse(id=sent, Size="small")
    assert instance.sent_id == sent
    assert type(instance.sent_id) is type(sent)
    assert (instance.id, instance.entity) == (str(sent), str(sent))
    jsonschema.validate(sent, prediction_schema(SHIRTS)["properties"]["id"])


@pytest.mark.parametrize("wrong", [7.5, True, "", 2**53, ["a"], "a\nb", "x" * 65, "a\n"])
def test_an_id_that_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(FieldError) as caught:
        parse(id=wrong, Size="small")
    assert caught.value.expected == "1 to 64 printable characters, or a whole number"
    assert caught.value.field == "id"


def test_a_number_is_no_id_where_the_entity_has_a_name_of_its_own() -> None:
    contract = SHIRTS.model_copy(update={"entity": "person"})
    with pytest.raises(FieldError, match=r"id: got 7, expected 1 to 64 printable characters$"):
        InstanceParser(contract).parse_instance(b'{"id": 7, "person": "p", "Age": 3, "Size": "small"}')


def test_a_batch_takes_numbers_and_sees_their_text_twice() -> None:
    rows = [{"id": 1, "Age": 3, "Size": "small"}, {"id": "1", "Age": 3, "Size": "small"}]
    parser = InstanceParser(SHIRTS)
    (one,) = parser.parse_batch(json.dumps({"instances": rows[:1]}).encode())
    assert json.loads(one.payload) == rows[0]
    with pytest.raises(FieldError, match=r"instances\[1\].id: got '1', expected an id that no other"):
        list(parser.parse_batch(json.dumps({"instances": rows}).encode()))


def test_truth_is_sent_under_a_number_too() -> None:
    (truth,) = FeedbackParser(SHIRTS).parse(b'{"id": 12, "truth": {"Price": 3}}')
    assert (truth.id, truth.value) == ("12", {"Price": 3})
    with pytest.raises(FieldError, match=r"id: got 1.5, expected the id of a prediction, 1 to 64 .* whole"):
        FeedbackParser(SHIRTS).parse(b'{"id": 1.5, "truth": {"Price": 3}}')


MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "id": st.none() | st.integers() | st.text(max_size=70),
        "Age": st.integers() | st.floats() | st.text(max_size=3),
        "Size": st.sampled_from(["small", "large", "Small", 0, 1, None]) | st.text(max_size=3),
    },
)


@given(MEMBERS)
def test_a_row_is_read_whole_or_refused(members: dict[str, Any]) -> None:
    try:
        instance = InstanceParser(SHIRTS).parse_instance(json.dumps(members).encode())
    except (FieldError, InvalidFields):
        return
    assert instance.raw.tolist() == [members["Age"], ["small", "large"].index(members["Size"])]
