"""Contracts refuse what does not fit together, and order what does."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from features.config import load_contract, load_sections
from features.contract import RATE_CHANNEL, Contract, Fill
from features.errors import FieldError
from features.workload import anchors_of, load_workload
from training.runtime.settings import REPOSITORY

WORKLOADS = REPOSITORY / "configs" / "workloads"


def sections() -> dict[str, Any]:
    section: dict[str, Any] = load_sections(WORKLOADS, "apogee")["contract"]
    return section


def test_field_order_is_the_matrix_order() -> None:
    contract = load_contract(WORKLOADS, "apogee")
    assert contract.field_names[:3] == ("time_s", "altitude_m", "vertical_velocity_mps")
    assert contract.channels == (*contract.field_names, RATE_CHANNEL)
    assert contract.raw_shape == (50, 8)


def test_only_time_and_altitude_are_required() -> None:
    contract = load_contract(WORKLOADS, "apogee")
    assert [f.name for f in contract.fields if f.required] == ["time_s", "altitude_m"]
    assert contract.fields[1].range_text == "a finite number of m in [-500, 100000]"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["fields"].append(dict(c["fields"][0])), r"fields named twice: \['time_s'\]"),
        (lambda c: c["window"].update(time="clock"), r"window.time: got 'clock', expected one of"),
        (lambda c: c["fields"].reverse(), "which must stand before it"),
        (lambda c: c.update(workload="Apogee!"), "workload"),
        (lambda c: c["window"].update(rate_hz=0), "greater than 0"),
        (lambda c: c.update(colour="red"), "Extra inputs are not permitted"),
    ],
)
def test_a_contract_that_does_not_fit_together_is_refused(change: Any, message: str) -> None:
    section = sections()
    change(section)
    with pytest.raises(ValidationError, match=message):
        Contract.model_validate(section)


@pytest.mark.parametrize("rules", [{}, {"constant": 0.0, "same_as": "altitude_m"}])
def test_a_fill_has_exactly_one_rule(rules: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="exactly one rule"):
        Fill(**rules)


def test_an_unknown_workload_lists_those_there_are() -> None:
    with pytest.raises(FileNotFoundError, match=r"no workload 'nope' in .*apogee"):
        load_sections(WORKLOADS, "nope")


@pytest.mark.parametrize("name", sorted(p.stem for p in WORKLOADS.glob("*.yaml")))
def test_every_workload_has_a_module_that_fits_its_contract(name: str) -> None:
    contract = load_contract(WORKLOADS, name)
    workload = load_workload(contract)
    assert len(set(workload.feature_names)) == len(workload.feature_names)
    assert set(workload.anchor_names) <= set(workload.feature_names)


def test_a_module_without_a_workload_is_refused() -> None:
    contract = load_contract(WORKLOADS, "apogee").model_copy(update={"module": "features.windows"})
    with pytest.raises(TypeError, match=r"features.windows.WORKLOAD: got NoneType"):
        load_workload(contract)


def test_anchors_are_columns_by_name() -> None:
    import numpy as np

    workload = load_workload(load_contract(WORKLOADS, "apogee"))
    features = np.arange(len(workload.feature_names), dtype=float)[None]
    expected = [[workload.feature_names.index(name) for name in workload.anchor_names]]
    assert anchors_of(workload, features).tolist() == expected


def test_errors_name_field_value_and_expectation_and_stay_short() -> None:
    error = FieldError("samples[3].altitude_m", "x" * 500, "a number")
    assert str(error).startswith("samples[3].altitude_m: got 'xxx")
    assert str(error).endswith("..., expected a number")
    assert len(str(error)) < 140
    assert "got nan," in str(FieldError("a", float("nan"), "a number"))
