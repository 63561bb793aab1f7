"""The short way from JSON to samples: whatever it reads, the model reads alike."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deployments.requests.parser import InstanceParser
from deployments.requests.sample_decoder import SampleDecoder
from features.config import BUILT_IN, load_contract

CONTRACT = load_contract(BUILT_IN, "apogee")
READER = SampleDecoder(CONTRACT)
SAMPLES = [{"time_s": 1, "altitude_m": 2.5}, {"altitude_m": 3, "time_s": 1.25}]
NAMES = st.sampled_from([*CONTRACT.field_names[:4], "nobody"])
VALUES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([1, 2.5, -60, 3600, 100_000, -500.0, 10**400, True, None, "1", math.nan, math.inf, []]),
    st.floats(),
)


def decoded_by_model(samples: Any) -> Any:
    """What comes out with the short way closed."""
    parser = InstanceParser(CONTRACT, decodes_samples=False)
    return parser.read(json.dumps({"flight_id": "A", "samples": samples}).encode()).samples


def test_values_go_where_their_names_say_and_what_was_not_sent_is_nan() -> None:
    read = READER.read(SAMPLES)
    assert read is not None
    assert read.shape == (2, len(CONTRACT.fields))
    assert read[:, :2].tolist() == [[1.0, 2.5], [1.25, 3.0]]
    assert np.isnan(read[:, 2:]).all()


@pytest.mark.parametrize(
    "samples",
    [
        None,
        [],
        SAMPLES[:1],
        [*SAMPLES, {"time_s": 2}],
        [*SAMPLES, {"time_s": 2, "altitude_m": 3, "pitch_deg": 1}],
        [*SAMPLES, {"time_s": 2, "altitude": 3}],
        [*SAMPLES, {"time_s": 2, "altitude_m": "3"}],
        [*SAMPLES, {"time_s": 2, "altitude_m": True}],
        [*SAMPLES, {"time_s": 2, "altitude_m": None}],
        [*SAMPLES, {"time_s": 2, "altitude_m": math.nan}],
        [*SAMPLES, {"time_s": 2, "altitude_m": 100_001}],
        [*SAMPLES, {"time_s": 2, "altitude_m": 10**400}],
        [*SAMPLES, [2, 3]],
        ["ab", "cd"],
        [{}, {}],
    ],
)
def test_all_else_is_left_to_the_model(samples: Any) -> None:
    assert READER.read(samples) is None


@example(samples=SAMPLES, same=False)
@example(samples=[{**SAMPLES[0], "pitch_deg": 0.0}], same=True)
@given(samples=st.lists(st.dictionaries(NAMES, VALUES, max_size=4), max_size=4), same=st.booleans())
def test_what_is_read_is_what_the_model_makes_of_it(samples: list[dict[str, Any]], same: bool) -> None:
    if same and samples:
        first = {name: value for name, value in samples[0].items() if name != "nobody"}
        samples = [SAMPLES[0] | first for _ in range(2)]
    read = READER.read(json.loads(json.dumps(samples)))
    if read is not None:
        np.testing.assert_array_equal(read, decoded_by_model(samples))


@pytest.mark.parametrize("altitude", [-500, -500.0, 100_000])
def test_the_ends_of_a_range_are_in_it(altitude: float) -> None:
    read = READER.read([{"time_s": 1, "altitude_m": altitude}, {"time_s": 2, "altitude_m": 0}])
    assert read is not None
    assert read[0, 1] == altitude


@pytest.mark.parametrize(("count", "known"), [(1, False), (2, True), (4096, True), (4097, False)])
def test_as_many_samples_are_read_as_a_window_takes(count: int, known: bool) -> None:
    assert (READER.read([{"time_s": n / 100, "altitude_m": 1} for n in range(count)]) is not None) == known


def test_one_name_alone_is_left_to_the_model() -> None:
    fields = tuple(spec for spec in CONTRACT.fields if spec.name == "time_s")
    alone = SampleDecoder(CONTRACT.model_copy(update={"fields": fields}))
    assert alone.read([{"time_s": 1.0}, {"time_s": 2.0}]) is None


def without_model(**changes: Any) -> InstanceParser:
    """One that fails wherever it asks the model."""
    parser = InstanceParser(CONTRACT, lambda: "id", **changes)
    del parser.model
    return parser


def test_the_model_is_asked_only_where_the_short_way_is_closed() -> None:
    body = json.dumps(CONTRACT.example).encode()
    batch = json.dumps({"instances": [CONTRACT.example | {"id": name} for name in "ab"]}).encode()
    assert without_model().read(body).id == "id"
    assert [one.id for one in without_model().parse_batch(batch)] == ["a", "b"]
    odd = json.dumps({**(CONTRACT.example or {}), "samples": [{"time_s": 1}, {"time_s": 2}]}).encode()
    for parser, content in ((without_model(decodes_samples=False), body), (without_model(), odd)):
        with pytest.raises(AttributeError, match="model"):
            parser.read(content)


def test_both_ways_give_the_same_instance() -> None:
    body = json.dumps(CONTRACT.example).encode()
    short = InstanceParser(CONTRACT, lambda: "id")
    long = InstanceParser(CONTRACT, lambda: "id", decodes_samples=False)
    one, other = short.parse_instance(body), long.parse_instance(body)
    np.testing.assert_array_equal(one.raw, other.raw)
    assert (one.id, one.entity, one.payload, one.filled) == (
        other.id,
        other.entity,
        other.payload,
        other.filled,
    )
