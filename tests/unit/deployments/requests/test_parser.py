import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from deployments.domain.errors import InvalidFields, MalformedJson, TooLarge
from deployments.domain.instances import Instance
from deployments.requests.parser import InstanceParser, stack_raw
from deployments.requests.schema import (
    MAX_INSTANCES,
    instance_json_schema,
    instance_model,
    naming_model,
)
from features.config import load_contract
from features.contract import Contract
from features.errors import FieldError, SchemaVersionError
from features.windows import cut_window
from training.runtime.settings import REPOSITORY

APOGEE = load_contract(REPOSITORY / "configs" / "workloads", "apogee")
FIRE = Contract.model_validate(
    {
        "workload": "calories",
        "schema_version": "2.1",
        "module": "none",
        "entity": "person",
        "fields": [
            {"name": "Age", "unit": "year", "min": 0, "max": 120},
            {"name": "Heart_Rate", "unit": "1/min", "min": 20, "max": 250},
            {"name": "Rest_Rate", "unit": "1/min", "min": 20, "max": 250, "fill": {"same_as": "Heart_Rate"}},
            {"name": "Body_Temp", "unit": "degC", "min": 30, "max": 45, "fill": {"constant": 37.5}},
        ],
        "target": {"name": "kcal", "unit": "kcal", "min": 0, "max": 2000},
    }
)


def samples(**changes: Any) -> list[dict[str, Any]]:
    """51 samples at 20 Hz; `changes` replace members of the fourth."""
    made = [{"time_s": 10 + i / 20, "altitude_m": 1000 + 5.0 * i} for i in range(51)]
    made[3].update(changes)
    return made


def body(**changes: Any) -> bytes:
    return json.dumps({"flight_id": "A12", "samples": samples()} | changes).encode()


def parse(content: bytes, contract: Contract = APOGEE) -> Instance:
    return InstanceParser(contract, new_id=lambda: "made").parse_instance(content)


def error_of(content: bytes, contract: Contract = APOGEE) -> FieldError:
    with pytest.raises(FieldError) as caught:
        parse(content, contract)
    return caught.value


def test_a_window_is_cut_from_the_samples() -> None:
    instance = parse(body())
    assert (instance.id, instance.entity, instance.payload) == ("made", "A12", body())
    assert instance.raw.shape == APOGEE.raw_shape
    matrix = np.full((51, 7), np.nan)
    matrix[:, :2] = [(s["time_s"], s["altitude_m"]) for s in samples()]
    np.testing.assert_array_equal(instance.raw, cut_window(APOGEE, matrix).values)
    assert instance.filled == dict.fromkeys(APOGEE.field_names[2:], 50)


def test_the_order_of_members_does_not_matter_and_null_is_not_sent() -> None:
    shuffled = [{"pitch_deg": None, **dict(reversed(s.items()))} for s in samples()]
    np.testing.assert_array_equal(parse(body(samples=shuffled)).raw, parse(body()).raw)


def test_an_optional_field_that_some_samples_lack_is_counted() -> None:
    some = [s | ({"pitch_deg": 80.0} if i > 4 else {}) for i, s in enumerate(samples())]
    assert parse(body(samples=some)).filled["pitch_deg"] == 4  # the first sample lies before the window


def test_ids() -> None:
    assert parse(body(id="launch 7/b é")).id == "launch 7/b é"
    assert len(InstanceParser(APOGEE).parse_instance(body()).id) == 26
    assert parse(body(id=None)).id == "made"


@pytest.mark.parametrize("wrong", ["", "x" * 65, "a\nb", 7, "a\u0085b"])
def test_an_id_that_is_not_1_to_64_printable_characters_is_refused(wrong: Any) -> None:
    error = error_of(body(id=wrong))
    assert (error.field, error.value, error.expected) == ("id", wrong, "1 to 64 printable characters")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            body(samples=samples(altitude_m=2e5)),
            "samples[3].altitude_m: got 200000.0, expected a finite number of m in [-500, 100000]",
        ),
        (body(samples=samples(altitude_m=float("nan"))), "samples[3].altitude_m: got nan, expected a finite"),
        (body(samples=samples(pitch_deg=float("-inf"))), "samples[3].pitch_deg: got -inf, expected a finite"),
        (body(samples=samples(altitude_m="12")), "samples[3].altitude_m: got '12', expected a finite"),
        (body(samples=samples(altitude_m=True)), "samples[3].altitude_m: got True, expected a finite"),
        (body(samples=samples(altitude_m=None)), "samples[3].altitude_m: got None, expected a finite"),
        (body(samples=samples(altitude_m=10**400)), "samples[3].altitude_m: got "),
        (
            body(samples=samples(altitude_ft=3)),
            "samples[3].altitude_ft: got 3, expected no field of this name; the fields are time_s, alt",
        ),
        (body(samples=samples(field_1=3)), "samples[3].field_1: got 3, expected no field of this name"),
        (body(samples=[*samples()[:2], 5]), "samples[2]: got 5, expected an object"),
        (body(samples=[]), "samples: got [], expected a list of 2 to 4096 samples"),
        (body(samples=samples() * 81), "expected a list of 2 to 4096 samples"),
        (body(samples=None), "samples: got None, expected a list of 2 to 4096 samples"),
        (body(flight_id=None), "flight_id: got None, expected 1 to 64 printable characters"),
        (b'{"flight_id": "A12"}', "samples: got None, expected a list of 2 to 4096 samples"),
        (
            body(speed=3),
            "speed: got 3, expected no field of this name; the fields are id, schema_version, flight_id, sa",
        ),
        (b"[1]", "body: got [1], expected an object"),
        (body(samples=samples(time_s=10.05)), "samples[3].time_s: got 10.05, expected a time after 10.1 s"),
        (
            body(samples=samples()[:20]),
            "samples: got '0.950 s of samples', expected at least 2.45 s of samples",
        ),
        (
            body(samples=samples()[:10] + samples()[35:]),
            "samples[10].time_s: got 11.75, expected a sample within 1.1 s",
        ),
    ],
)
def test_what_is_wrong_is_named(content: bytes, message: str) -> None:
    error = error_of(content)
    assert message in str(error)
    assert len(str(error)) < 300


def test_several_wrong_fields_are_all_named() -> None:
    with pytest.raises(InvalidFields) as caught:
        parse(body(flight_id="", samples=samples(altitude_m="x", pitch_deg=91)))
    assert [error.field for error in caught.value.errors] == [
        "flight_id",
        "samples[3].altitude_m",
        "samples[3].pitch_deg",
    ]


def test_of_wrong_samples_and_instances_the_first_is_named() -> None:
    """There may be thousands, and each would be named."""
    made = samples(altitude_m="x")
    made[4]["altitude_m"] = "y"
    assert error_of(body(samples=made)).field == "samples[3].altitude_m"
    with pytest.raises(FieldError) as caught:
        list(InstanceParser(FIRE).parse_batch(batch(rider(), rider(Age=-1), rider(Age=-2))))
    assert (caught.value.field, caught.value.value) == ("instances[1].Age", -1)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"flight", b'{"flight_id": "\xff"}', b'{"id": "\\ud800"}', body()[:-1], b"[" * 10_000],
)
def test_what_is_no_json_is_malformed(content: bytes) -> None:
    with pytest.raises(MalformedJson, match=r"The body is not JSON: .* at line 1 column \d+"):
        parse(content)


def test_another_schema_version_is_refused_before_all_else() -> None:
    assert parse(body(schema_version="1.0")).entity == "A12"
    for version in ("0.9", 1.0):
        with pytest.raises(SchemaVersionError, match=rf"got '{version}', expected '1.0'|got '1.0'"):
            parse(body(schema_version=version, samples=[], unknown=1))


def test_a_table_row_has_its_fields_at_the_top() -> None:
    instance = parse(b'{"person": "p", "Heart_Rate": 90, "Age": 31, "Body_Temp": null}', FIRE)
    assert instance.raw.tolist() == [31, 90, 90, 37.5]
    assert instance.filled == {"Rest_Rate": 1, "Body_Temp": 1}
    error = error_of(b'{"person": "p", "Heart_Rate": 300, "Age": 31}', FIRE)
    assert str(error) == "Heart_Rate: got 300, expected a finite number of 1/min in [20, 250]"
    error = error_of(b'{"person": "p", "Heart_Rate": 90, "Age": 31, "Sex": 1}', FIRE)
    assert error.expected.endswith("id, schema_version, person, Age, Heart_Rate, Rest_Rate, Body_Temp")


def test_a_contract_whose_entity_is_the_id() -> None:
    contract = FIRE.model_copy(update={"entity": "id"})
    assert parse(b'{"id": "p7", "Heart_Rate": 90, "Age": 31}', contract).entity == "p7"


def batch(*instances: dict[str, Any]) -> bytes:
    return json.dumps({"instances": list(instances)}).encode()


def rider(**changes: Any) -> dict[str, Any]:
    return {"person": "p", "Heart_Rate": 90, "Age": 31} | changes


def test_a_batch_keeps_its_order_and_stacks() -> None:
    sent = batch(rider(Age=30), rider(id="x", Age=31), rider(Age=32))
    found = list(InstanceParser(FIRE).parse_batch(sent))
    assert stack_raw(found)[:, 0].tolist() == [30, 31, 32]
    assert json.loads(found[1].payload) == rider(id="x")
    assert len({instance.id for instance in found}) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            batch(rider(), rider(Age=-1)),
            "instances[1].Age: got -1, expected a finite number of year in [0, 120]",
        ),
        (batch(rider(), rider(Sex=1)), "instances[1].Sex: got 1, expected no field of this name"),
        (
            batch(rider(id="a"), rider(id="a")),
            "instances[1].id: got 'a', expected an id that no other instance",
        ),
        (batch(), "instances: got [], expected a list of at least one instance"),
        (b"{}", "instances: got None, expected a list of at least one instance"),
        (b'{"instances": [], "x": 1}', "x: got 1, expected no field of this name; the fields are instances"),
    ],
)
def test_what_is_wrong_in_a_batch_is_named(content: bytes, message: str) -> None:
    with pytest.raises((FieldError, InvalidFields)) as caught:
        list(InstanceParser(FIRE).parse_batch(content))
    assert message in str(caught.value)


def test_a_window_that_cannot_be_cut_is_named_in_its_batch() -> None:
    short = {"flight_id": "B", "samples": samples()[:5]}
    with pytest.raises(FieldError, match=r"^instances\[1\]\.samples: got '0\.200 s"):
        list(InstanceParser(APOGEE).parse_batch(batch(json.loads(body()), short)))


def test_what_a_batch_is_read_from_goes_as_its_instances_come() -> None:
    rows = [{"person": f"p{i}", "Age": 30.5, "Heart_Rate": 100.5, "Body_Temp": 37.25} for i in range(2000)]
    content = json.dumps({"instances": rows}).encode()
    parser = InstanceParser(FIRE)
    list(parser.parse_batch(content))  # what is made once
    tracemalloc.start()
    try:
        parsed = json.loads(content)
        parsed_bytes, _ = tracemalloc.get_traced_memory()
        del parsed
        tracemalloc.reset_peak()
        instances = list(parser.parse_batch(content))
        kept_bytes, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(instances) == len(rows)
    assert peak_bytes - kept_bytes < parsed_bytes / 2


def test_a_batch_that_is_too_long() -> None:
    parser = InstanceParser(FIRE)
    assert len(list(parser.parse_batch(batch(*[rider()] * MAX_INSTANCES)))) == MAX_INSTANCES
    with pytest.raises(TooLarge, match=r"got 10\d\d\d or more, expected at most 10000"):
        list(parser.parse_batch(batch(*[rider()] * (MAX_INSTANCES + 1))))


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda s: (
            st.lists(s)
            | st.dictionaries(
                st.sampled_from(["id", "flight_id", "samples", "time_s", "altitude_m", "schema_version"]), s
            )
        ),
    )
)
def test_any_json_is_an_instance_or_an_error_of_ours(content: Any) -> None:
    parser = InstanceParser(APOGEE)
    for read in (parser.parse_instance, lambda sent: list(parser.parse_batch(sent))):
        with pytest.raises((FieldError, InvalidFields, SchemaVersionError)):
            read(json.dumps(content).encode())


@given(st.binary(max_size=40))
def test_any_bytes_are_refused_as_they_deserve(content: bytes) -> None:
    with pytest.raises((FieldError, InvalidFields, MalformedJson)):
        parse(content)


def test_what_was_parsed_is_not_changed() -> None:
    window, row_ = instance_model(APOGEE), instance_model(FIRE)
    parsed = window.model_validate({"flight_id": "A", "samples": samples()})
    row = row_.model_validate(rider())
    named = naming_model(APOGEE).model_validate({"flight_id": "A"})
    for model, name in (
        (parsed, "samples"),
        (vars(parsed)["samples"][0], "field_0"),
        (row, "field_0"),
        (named, "id"),
    ):
        with pytest.raises(ValidationError, match="Instance is frozen"):
            setattr(model, name, None)


def test_the_members_that_name_an_instance_are_all_that_their_model_takes() -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        naming_model(APOGEE).model_validate({"flight_id": "A", "samples": []})


def test_the_schema_says_units_ranges_and_fills() -> None:
    schema = instance_json_schema(APOGEE)
    assert schema["required"] == ["flight_id", "samples"]
    assert schema["x-target"] == {"name": "apogee_m", "unit": "m", "task": "regression"}
    assert schema["x-schema-version"] == "1.0"
    sample = schema["$defs"]["apogee_sample"]
    assert sample["required"] == ["time_s", "altitude_m"]
    assert list(sample["properties"]) == list(APOGEE.field_names)
    altitude = sample["properties"]["altitude_m"]
    assert (altitude["x-unit"], altitude["minimum"], altitude["maximum"]) == ("m", -500, 100_000)
    assert altitude["description"] == "altitude above the launch pad, m"
    assert sample["properties"]["pressure_pa"]["x-fill"] == {"constant": 101325}


def test_the_schema_shows_the_contracts_example() -> None:
    contract = FIRE.model_copy(update={"example": rider()})
    assert instance_json_schema(contract)["examples"] == [rider()]
