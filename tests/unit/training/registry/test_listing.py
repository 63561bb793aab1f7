"""The versions of a workload where there is no registry, or none that answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from features.config import BUILT_IN
from scripts.launcher.preflight import free_port
from training.registry.errors import RegistryUnreadable
from training.registry.listing import list_versions
from training.runtime.settings import Settings


def settings_at(var: Path, uri: str) -> Settings:
    return Settings(var, BUILT_IN, uri, f"sqlite:///{var}/store.db")


def test_a_registry_that_is_not_there_has_no_versions_and_is_not_made(tmp_path: Path) -> None:
    settings = settings_at(tmp_path, f"sqlite:///{tmp_path}/mlflow/mlflow.db")
    assert list_versions(settings, "apogee", {}) == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database" * 100)
    with pytest.raises(RegistryUnreadable, match=r"file is not a database.*check RAYSONDE_REGISTRY_URI"):
        list_versions(settings_at(tmp_path, f"sqlite:///{tmp_path}/mlflow.db"), "apogee", {})


def test_a_database_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    uri = f"postgresql+psycopg://ann:secret@127.0.0.1:{free_port()}/mlflow"
    with pytest.raises(RegistryUnreadable, match=r"postgresql\+psycopg://ann:\*\*\*@127") as raised:
        list_versions(settings_at(tmp_path, uri), "apogee", {})
    assert "secret" not in str(raised.value)


def test_a_server_that_does_not_answer_is_an_error(tmp_path: Path) -> None:
    uri = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(RegistryUnreadable, match=f"the registry {uri} cannot be read"):
        list_versions(settings_at(tmp_path, uri), "apogee", {})


def test_the_readers_import_no_mlflow() -> None:
    code = (
        "import sys; from training.registry import listing, rest_reader, sql_reader\n"
        "assert not {'mlflow', 'ray', 'pandas', 'sklearn', 'fastapi'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
