"""Where files are found, in a checkout and without one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from features.config import BUILT_IN
from features.locations import checkout, haproxy_wrapper, serve_config, state_folder
from training.registry.tracking import git_commit
from training.runtime.settings import REPOSITORY, Settings


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """The `site-packages` of an environment, in the repository of somebody else."""
    (tmp_path / ".git").mkdir()
    packages = tmp_path / ".venv" / "lib" / "site-packages"
    packages.mkdir(parents=True)
    return packages


def test_a_folder_with_a_project_file_is_a_checkout(environment: Path) -> None:
    assert checkout() == REPOSITORY
    assert checkout(environment) is None
    (environment / "pyproject.toml").touch()
    assert checkout(environment) == environment


def test_the_state_of_a_checkout_is_in_it_wherever_the_command_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAYSONDE_VAR", raising=False)
    assert state_folder() == Settings.from_environment().var == REPOSITORY / "var"


def test_without_a_checkout_the_state_is_where_the_command_is_given(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert state_folder(environment) == tmp_path / "var"


def test_what_comes_along_is_there() -> None:
    assert serve_config().samefile(REPOSITORY / "serve_config.yaml")
    assert yaml.safe_load(serve_config().read_text())["applications"]
    assert {path.stem for path in BUILT_IN.glob("*.yaml")} >= {"apogee", "weather"}
    assert os.access(haproxy_wrapper(), os.X_OK)


def test_without_a_checkout_no_commit_is_recorded_and_none_of_a_stranger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RAYSONDE_COMMIT", raising=False)
    assert git_commit(None) == "unknown"
    monkeypatch.setenv("RAYSONDE_COMMIT", "abc")
    assert git_commit(None) == "abc"


def test_without_git_no_commit_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAYSONDE_COMMIT", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit(REPOSITORY) == "unknown"
