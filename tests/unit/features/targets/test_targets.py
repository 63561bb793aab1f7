"""What is predicted, as it is written in contracts, records and truths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from features.contract import Contract
from features.errors import FieldError
from features.targets import AnyTarget, ClassTarget, PathTarget, TargetSpec

NUMBER = TargetSpec(name="area_m2", unit="m2", minimum=0, maximum=100)
PHASE = ClassTarget(name="phase", classes=("nominal", "reentry"), positive="reentry")
PATH = PathTarget(name="path", horizons_s=(60, 300))
POINT = {"time_s": 60, "latitude": 47.5, "longitude": 8.5}


def contract(target: dict[str, Any], **members: Any) -> Contract:
    field = {"name": "x", "unit": "1", "min": 0, "max": 1}
    given = {"workload": "w", "schema_version": "1", "module": "w", "entity": "thing", "fields": [field]}
    return Contract.model_validate(given | {"target": target} | members)


@pytest.mark.parametrize(("target", "kind"), [(NUMBER, TargetSpec), (PHASE, ClassTarget), (PATH, PathTarget)])
def test_the_kind_of_a_target_follows_from_its_members(target: AnyTarget, kind: type) -> None:
    found = contract(target.model_dump(by_alias=True), task=target.task).target
    assert isinstance(found, kind)
    assert found == target


def test_the_task_must_be_that_of_the_target() -> None:
    with pytest.raises(ValidationError, match="task: got 'regression', expected 'path', as the target is"):
        contract({"name": "path", "horizons_s": [60]})


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"name": "p", "classes": ["a"], "positive": "a"}, "at least 2"),
        ({"name": "p", "classes": ["a", "a"], "positive": "a"}, "all different"),
        (
            {"name": "p", "classes": ["a", "b"], "positive": "c"},
            "positive: got 'c', expected one of 'a', 'b'",
        ),
        ({"name": "p", "horizons_s": [60, 60]}, "expected increasing times above 0"),
        ({"name": "p", "horizons_s": [0, 60]}, "expected increasing times above 0"),
        ({"name": "p", "horizons_s": []}, "at least 1"),
    ],
)
def test_targets_that_make_no_sense_are_refused(target: dict[str, Any], message: str) -> None:
    task = "classification" if "classes" in target else "path"
    with pytest.raises(ValidationError, match=message):
        contract(target, task=task)


def test_an_entity_of_several_fields_is_joined() -> None:
    found = contract(NUMBER.model_dump(by_alias=True), entity=["track_id", "sensor_id"])
    assert (found.entity, found.entity_names) == ("track_id/sensor_id", ("track_id", "sensor_id"))


def test_columns_of_records() -> None:
    assert NUMBER.columns(()) == ("area_m2",)
    assert NUMBER.columns(("area_m2",)) == ("target_area_m2",)
    assert PATH.columns(())[:4] == (
        "latitude_in_60_s",
        "longitude_in_60_s",
        "altitude_m_in_60_s",
        "latitude_in_300_s",
    )
    found = PATH.of_columns([np.array([float(number)]) for number in range(6)])
    assert found.tolist() == [[[0, 1, 2], [3, 4, 5]]]


def test_classes_are_read_by_name() -> None:
    found = PHASE.of_columns([np.array(["reentry", "nominal", None, np.nan], dtype=object)])
    np.testing.assert_array_equal(found, [1, 0, np.nan, np.nan])
    with pytest.raises(FieldError, match="phase: got 'landing', expected one of 'nominal', 'reentry'"):
        PHASE.of_columns([np.array(["landing"], dtype=object)])


@pytest.mark.parametrize(
    ("target", "truth"),
    [
        (NUMBER, 12.5),
        (PHASE, "reentry"),
        (PATH, [POINT, POINT | {"time_s": 300.0, "altitude_m": 9000.0}]),
        (PATH, [POINT | {"time_s": 300.0}]),
        (NUMBER, None),
        (PHASE, None),
        (PATH, None),
    ],
)
def test_a_truth_comes_back_from_its_array(target: AnyTarget, truth: Any) -> None:
    assert target.to_json(target.of_json(truth)) == truth


@pytest.mark.parametrize(
    ("target", "truth"),
    [
        (NUMBER, 101),
        (NUMBER, "12"),
        (PHASE, "landing"),
        (PHASE, 1),
        (PATH, []),
        (PATH, [POINT, POINT]),
        (PATH, [POINT | {"time_s": 61}]),
        (PATH, [POINT | {"time_s": True}]),
        (PATH, [POINT | {"latitude": 91}]),
        (PATH, [POINT | {"radius_m": 5}]),
        (PATH, [{"time_s": 60, "latitude": 1}]),
        (PATH, {"time_s": 60}),
    ],
)
def test_truths_that_cannot_be_are_refused(target: AnyTarget, truth: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(target.truth_type()).validate_python(truth)


@pytest.mark.parametrize("target", [NUMBER, PHASE, PATH])
def test_the_example_is_a_truth(target: AnyTarget) -> None:
    TypeAdapter(target.truth_type()).validate_python(target.example_truth)


def members(schema: dict[str, Any]) -> dict[str, Any]:
    """Of an object of which all members are required."""
    assert (schema["type"], schema["required"]) == ("object", list(schema["properties"]))
    properties: dict[str, Any] = schema["properties"]
    return properties


def test_the_schema_of_an_answer_with_a_number() -> None:
    schema = NUMBER.answer_schema()
    assert set(schema) == {"prediction", "interval"}
    assert members(schema["prediction"]) == {"area_m2": {"type": "number", "description": "in m2"}}
    ends = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    assert members(schema["interval"]) == {"area_m2": ends}


def test_the_schema_of_an_answer_with_a_class() -> None:
    schema = PHASE.answer_schema()
    assert set(schema) == {"prediction", "prediction_set"}
    one, share = (
        {"type": "string", "enum": ["nominal", "reentry"]},
        {"type": "number", "minimum": 0, "maximum": 1},
    )
    found = members(schema["prediction"])
    assert members(found.pop("probabilities")) == {"nominal": share, "reentry": share}
    assert found == {"phase": one, "probability": share}
    several = members(schema["prediction_set"])["phase"]
    assert (several["type"], several["items"], several["minItems"]) == ("array", one, 1)


def test_the_schema_of_an_answer_with_a_path() -> None:
    schema = PATH.answer_schema()
    assert set(schema) == {"prediction"}
    point = members(members(schema["prediction"])["path"]["items"])
    assert point.pop("time_s")["enum"] == [60, 300]
    assert set(point) == {"latitude", "longitude", "altitude_m", "radius_m"}
    assert {one["type"] for one in point.values()} == {"number"}


def test_where_a_point_of_a_path_may_lie() -> None:
    adapter = TypeAdapter(PATH.truth_type())
    limits = {"latitude": (-90, 90), "longitude": (-180, 180), "altitude_m": (-1000, 100_000_000)}
    for name, ends in limits.items():
        for end, step in zip(ends, (-1e-6, 1e-6), strict=True):
            adapter.validate_python([POINT | {name: end}])
            with pytest.raises(ValidationError):
                adapter.validate_python([POINT | {name: end + step}])
    adapter.validate_python([POINT | {"altitude_m": None}])
    with pytest.raises(ValidationError):
        adapter.validate_python([POINT, POINT | {"time_s": 300}, POINT | {"time_s": 300}])


@pytest.mark.parametrize(("least", "metric"), [(0.0, "rmsle"), (-1e-9, "mae"), (-1e-9, "rmse")])
def test_a_logarithm_needs_numbers_of_0_or_more(least: float, metric: str) -> None:
    given = {"name": "x", "unit": "m", "min": least, "max": 1, "metric": metric}
    assert TargetSpec.model_validate(given).minimum == least
    with pytest.raises(ValidationError, match="expected 0 or more for the metric rmsle"):
        TargetSpec.model_validate(given | {"min": -1e-9, "metric": "rmsle"})


def test_what_a_target_describes() -> None:
    described = [(one.task, one.unit, one.region, one.higher_is_better) for one in (NUMBER, PHASE, PATH)]
    assert described == [
        ("regression", "m2", "interval", False),
        ("classification", "class", "prediction_set", True),
        ("path", "m", "", False),
    ]


def test_the_truth_that_a_prediction_would_be_right_about() -> None:
    assert NUMBER.truth_like({"area_m2": 5.0}) == 5.0
    assert PHASE.truth_like({"phase": "reentry", "probability": 0.7}) == "reentry"
    assert PATH.truth_like({"path": [POINT | {"altitude_m": 5.0, "radius_m": 9.0}]}) == [
        POINT | {"altitude_m": 5.0}
    ]


def test_a_point_without_its_place_is_not_known() -> None:
    places = np.array([[47.0, np.nan, 5.0], [47.0, 8.0, np.nan]])
    assert PATH.to_json(places) == [{"time_s": 300.0, "latitude": 47.0, "longitude": 8.0}]
    assert PATH.to_json(np.full((2, 3), np.nan)) is None
