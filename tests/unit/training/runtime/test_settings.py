"""Where things are, as the environment says it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.registry.tracking import git_commit
from training.runtime.settings import Settings, without_password

VARIABLES = (
    "RAYSONDE_STORE_URL",
    "RAYSONDE_REGISTRY_URI",
    "RAYSONDE_API_KEY_FILE",
    "RAYSONDE_TRAINING_RESOURCE",
)


@pytest.fixture(autouse=True)
def _bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAYSONDE_VAR", str(tmp_path))


def test_all_is_under_var_by_default(tmp_path: Path) -> None:
    settings = Settings.from_environment()
    assert settings.store_url == f"sqlite:///{tmp_path}/store.db"
    assert settings.registry_uri == f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    assert settings.api_key_file == tmp_path / "api-key"
    assert replace(settings, var=Path("/other")).api_key_file == Path("/other/api-key")


def test_what_lies_where_under_var() -> None:
    settings = Settings(Path("/var"), Path("/own"), "sqlite:///r", "sqlite:///s")
    assert settings.artifacts == Path("/var/mlflow/artifacts")
    assert settings.bundle_cache == Path("/var/cache/bundles")
    assert settings.data == Path("/var/data")
    assert settings.logs == Path("/var/logs")
    assert settings.targets == Path("/var/targets")
    assert settings.ray_dashboards == Path("/var/ray-dashboards")
    assert settings.api_key_file == Path("/var/api-key")
    assert (settings.key_file, settings.training_resource) == (None, "")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://user:secret@host:5432/store", "postgresql://user:***@host:5432/store"),
        ("postgresql://user@host/store", "postgresql://user@host/store"),
        (
            "postgresql://host/store?user=a&password=secret&x=1",
            "postgresql://host/store?user=a&password=***&x=1",
        ),
        ("postgresql://host/store?password=secret", "postgresql://host/store?password=***"),
        ("sqlite:////var/store.db", "sqlite:////var/store.db"),
        ("postgresql://u:se@cret@host/db", "postgresql://u:***@host/db"),
        ("postgresql://u@firm:se@cret@host/db", "postgresql://u@firm:***@host/db"),
        ("postgresql://u:s/e?c#ret@host/db", "postgresql://u:***@host/db"),
        ("postgresql://u:one@host/db?password=t@wo&x=1", "postgresql://u:***&x=1"),
        ("postgresql://host/db?sslpassword=secret", "postgresql://host/db?sslpassword=***"),
    ],
)
def test_passwords_are_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


@given(st.text(min_size=1), st.sampled_from(["", "?x=1", "?password=other&x=1"]))
def test_no_part_of_a_password_is_shown(password: str, query: str) -> None:
    shown = without_password(f"postgresql://user:{password}@host:5432/store{query}")
    assert shown == f"postgresql://user:***@host:5432/store{query.replace('other', '***')}" or (
        "password=" in password and shown in ("postgresql://user:***", "postgresql://user:***&x=1")
    )


@given(st.text(st.characters(exclude_characters="&"), min_size=1), st.sampled_from(["", "user:one@"]))
def test_no_part_of_a_password_in_a_query_is_shown(password: str, user: str) -> None:
    shown = without_password(f"postgresql://{user}host/store?password={password}&x=1")
    assert shown in (
        f"postgresql://{user.replace('one', '***')}host/store?password=***&x=1",
        "postgresql://user:***&x=1",
    )


def test_folders_that_are_named_are_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("RAYSONDE_VAR", "RAYSONDE_WORKLOADS", "RAYSONDE_API_KEY_FILE"):
        monkeypatch.setenv(name, f"here/../{name}")
    settings = Settings.from_environment()
    assert settings.var == tmp_path / "RAYSONDE_VAR"
    assert settings.workloads == tmp_path / "RAYSONDE_WORKLOADS"
    assert settings.key_file == tmp_path / "RAYSONDE_API_KEY_FILE"


def test_trainings_go_anywhere_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.from_environment().training_resource == ""
    monkeypatch.setenv("RAYSONDE_TRAINING_RESOURCE", "training")
    assert Settings.from_environment().training_resource == "training"


def test_an_address_may_lie_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "url").write_text("postgresql://user:password@host/store\n")
    monkeypatch.setenv("RAYSONDE_STORE_URL_FILE", str(tmp_path / "url"))
    monkeypatch.setenv("RAYSONDE_REGISTRY_URI_FILE", str(tmp_path / "url"))
    settings = Settings.from_environment()
    assert settings.store_url == settings.registry_uri == "postgresql://user:password@host/store"
    monkeypatch.setenv("RAYSONDE_STORE_URL", "sqlite://")
    assert Settings.from_environment().store_url == "sqlite://"


def test_a_file_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYSONDE_STORE_URL_FILE", str(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError, match="gone"):
        Settings.from_environment()


def test_the_key_may_lie_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYSONDE_API_KEY_FILE", str(tmp_path / "secret"))
    assert Settings.from_environment().api_key_file == tmp_path / "secret"


def test_a_copy_without_git_gets_its_commit_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAYSONDE_COMMIT", raising=False)
    assert git_commit(tmp_path) == "unknown"
    monkeypatch.setenv("RAYSONDE_COMMIT", "abc")
    assert git_commit(tmp_path) == "abc"
