"""Workloads of a user's own folder: which there are, where their modules are, how they are served."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from deployments.domain.routing import RoutingPolicy
from features.config import BUILT_IN, known_workloads, load_contract, load_sections, own_workloads
from features.workload import load_workload
from scripts.cli.main import app
from scripts.launcher.serve_settings import with_applications
from scripts.launcher.user_workloads import require_modules, settings_with, workers_runtime_env
from tests.support.page import block_with, blocks_of, write_files
from training.runtime.settings import REPOSITORY
from training.sources.base import load_source

BLOCKS = blocks_of(REPOSITORY / "docs" / "tutorial" / "adding-a-workload.md")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The page's folder; what using it changes in this process is undone."""
    write_files(BLOCKS, tmp_path)
    monkeypatch.setenv("RAYSONDE_WORKLOADS", "")
    monkeypatch.delenv("RAYSONDE_WORKLOADS")
    monkeypatch.setenv("PYTHONPATH", "/before")
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path / "mine"
    sys.modules.pop("diabetes", None)
    os.environ.pop("RAYSONDE_WORKLOADS", None)


def edit(folder: Path, before: str, after: str) -> None:
    path = folder / "diabetes.yaml"
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))


def test_a_folder_adds_to_the_built_in_workloads(folder: Path) -> None:
    assert known_workloads(folder) == sorted([*known_workloads(BUILT_IN), "diabetes"])
    assert load_contract(folder, "diabetes").workload == "diabetes"
    assert load_contract(folder, "apogee") == load_contract(BUILT_IN, "apogee")
    assert own_workloads(BUILT_IN) == []


def test_a_file_named_like_a_built_in_one_takes_its_place(folder: Path) -> None:
    text = (BUILT_IN / "apogee.yaml").read_text()
    (folder / "apogee.yaml").write_text(text.replace("apogee_m", "top_m"))
    assert load_contract(folder, "apogee").target.name == "top_m"


def test_other_yaml_files_of_the_folder_are_no_workloads(folder: Path) -> None:
    (folder / "serve_config.yaml").write_text("applications: []\n")
    assert own_workloads(folder) == ["diabetes"]


def test_a_missing_file_is_reported_with_the_folder_and_those_there_are(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=rf"no workload 'tides' in {folder}; .*'apogee'.*'diabetes'"):
        load_sections(folder, "tides")


def test_what_is_no_yaml_is_reported_by_its_name(folder: Path) -> None:
    (folder / "broken.yaml").write_text("contract: [")
    assert "broken" in own_workloads(folder)
    with pytest.raises(ValueError, match=r"broken\.yaml: not YAML: .*line 1"):
        load_sections(folder, "broken")


def test_using_a_folder_makes_its_modules_importable_here_and_in_children(folder: Path) -> None:
    assert workers_runtime_env() is None
    settings = settings_with(folder)
    settings_with(folder)  # once is enough
    assert settings.workloads == folder
    assert os.environ["PYTHONPATH"] == f"{folder}{os.pathsep}/before"
    assert sys.path.count(str(folder)) == 1
    assert workers_runtime_env() == {
        "env_vars": {"RAYSONDE_WORKLOADS": str(folder), "PYTHONPATH": os.environ["PYTHONPATH"]}
    }
    require_modules(settings, "diabetes")
    contract = load_contract(folder, "diabetes")
    assert load_workload(contract).anchor_names == ("bmi",)
    assert load_source(contract, load_sections(folder, "diabetes")["training"]["source"]).revision == "1"


def test_without_a_folder_nothing_changes(folder: Path) -> None:
    before = list(sys.path)
    assert settings_with(None).workloads == BUILT_IN
    assert settings_with(BUILT_IN).workloads == BUILT_IN
    assert (sys.path, os.environ["PYTHONPATH"]) == (before, "/before")


@pytest.mark.parametrize(
    ("before", "after", "key", "file"),
    [
        ("module: diabetes\n  entity", "module: tides\n  entity", "contract.module", "tides.py"),
        ("{module: diabetes}", "{module: tides.source}", "training.source.module", "tides/source.py"),
        ("baselines: [diabetes]", "baselines: [tides]", "training.baselines", "tides.py"),
        ("families: [gradient", "families: [tides.model, gradient", "training.families", "tides/model.py"),
    ],
)
def test_a_missing_module_is_reported_with_the_file_that_was_expected(
    folder: Path, before: str, after: str, key: str, file: str
) -> None:
    edit(folder, before, after)
    settings = settings_with(folder)
    with pytest.raises(FileNotFoundError) as caught:
        require_modules(settings, "diabetes")
    assert f"diabetes.yaml, {key}: no module 'tides" in str(caught.value)
    assert f"looked for {folder / file}" in str(caught.value)


@pytest.mark.parametrize("command", ["train", "models", "up"])
def test_commands_refuse_a_folder_that_is_none(command: str, tmp_path: Path) -> None:
    words = [command] if command == "up" else [command, "diabetes"]
    result = CliRunner().invoke(app, [*words, "--workloads-dir", str(tmp_path / "nowhere")])
    assert result.exit_code == 2
    assert "nowhere" in result.output.replace("\n", "")


def test_a_training_of_a_missing_module_is_refused_in_one_line(folder: Path) -> None:
    (folder / "diabetes.py").unlink()
    result = CliRunner().invoke(app, ["train", "diabetes", "--workloads", str(folder)])
    assert result.exit_code == 1
    assert result.output.startswith("not trained: diabetes.yaml, contract.module: no module 'diabetes'")


def test_of_several_workloads_none_is_trained_when_one_is_unknown(folder: Path) -> None:
    words = ["train", "diabetes", "tides", "--workloads", str(folder)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert result.output.startswith("not trained: no workload 'tides'")


CONFIG = """
applications:
  - {name: apogee, route_prefix: /apogee, import_path: a:b}
  - {name: root, route_prefix: /, import_path: a:c, args: {workloads: [apogee]}}
"""


def test_a_workload_without_an_application_gets_one_that_the_root_knows() -> None:
    config = yaml.safe_load(with_applications(CONFIG, {"tides": ["ridge", "gru"]}))
    own, apogee, root = config["applications"]
    assert (own["name"], own["route_prefix"]) == ("tides", "/tides")
    assert own["args"] == {"workload": "tides", "own_lifecycle_controller": False}
    names = ["Router", "FeatureScaler", "gru", "ridge"]
    assert [part["name"] for part in own["deployments"]] == names
    assert sum(part["ray_actor_options"]["num_cpus"] for part in own["deployments"]) < 0.1
    assert apogee == yaml.safe_load(CONFIG)["applications"][0]
    assert root["args"]["workloads"] == ["apogee", "tides"]


def test_without_a_root_an_application_has_a_lifecycle_controller_of_its_own() -> None:
    config = yaml.safe_load(with_applications("applications: []", {"tides": ["ridge"]}))
    (own,) = config["applications"]
    assert own["args"] == {"workload": "tides"}
    assert [part["name"] for part in own["deployments"]] == [
        "Router",
        "FeatureScaler",
        "ridge",
        "LifecycleController",
    ]


def test_an_application_that_is_there_is_left_alone() -> None:
    assert yaml.safe_load(with_applications(CONFIG, {"apogee": ["ridge"]})) == yaml.safe_load(CONFIG)


def test_the_application_on_the_page_fits_its_workload(folder: Path) -> None:
    (application,) = yaml.safe_load(block_with(BLOCKS, "- name: diabetes"))
    text = yaml.safe_dump({"applications": [application]})
    arms = RoutingPolicy.model_validate(load_sections(folder, "diabetes")["routing"]).arms
    (generated,) = yaml.safe_load(with_applications("applications: []", {"diabetes": arms}))["applications"]
    assert yaml.safe_load(with_applications(text, {"diabetes": arms}))["applications"] == [application]
    parts = {part["name"] for part in generated["deployments"]}
    assert {part["name"] for part in application["deployments"]} == parts
    assert application | {"deployments": []} == generated | {"deployments": []}
