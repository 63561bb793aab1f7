"""Files of workloads: a user's before the built-in ones, and errors that name the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.config import BUILT_IN, known_workloads, load_contract, load_sections, own_workloads

BUILT_IN_NAMES = ["apogee", "calories", "reentry", "trajectory", "weather"]


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "rowing.yaml").write_text("contract: {workload: rowing}")
    (tmp_path / "apogee.yaml").write_text("contract: {workload: mine}")
    (tmp_path / "notes.yaml").write_text("todo: [row]")
    (tmp_path / "list.yaml").write_text("- contract")
    return tmp_path


def test_a_users_file_stands_before_the_built_in_one(mine: Path) -> None:
    assert load_sections(mine, "apogee") == {"contract": {"workload": "mine"}}
    assert load_sections(mine, "weather") == load_sections(BUILT_IN, "weather")
    assert load_contract(mine, "weather").workload == "weather"


def test_which_workloads_there_are(mine: Path) -> None:
    assert own_workloads(mine) == ["apogee", "rowing"]
    assert known_workloads(mine) == sorted([*BUILT_IN_NAMES, "rowing"])
    assert own_workloads(BUILT_IN) == []
    assert known_workloads(BUILT_IN) == BUILT_IN_NAMES


def test_a_file_that_cannot_be_read_is_taken_for_a_workload_so_that_its_error_is_shown(mine: Path) -> None:
    (mine / "broken.yaml").write_text("contract: [")
    assert own_workloads(mine) == ["apogee", "broken", "rowing"]
    with pytest.raises(ValueError, match=r"broken\.yaml: not YAML: while parsing"):
        load_sections(mine, "broken")


@pytest.mark.parametrize("name", ["notes", "list"])
def test_a_file_without_a_contract_is_refused(mine: Path, name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}\.yaml: expected the sections contract"):
        load_sections(mine, name)


def test_a_workload_that_is_not_there_lists_those_that_are(mine: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no workload 'nope' in .*'rowing'"):
        load_sections(mine, "nope")
