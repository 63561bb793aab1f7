"""Arguments of an application in serve_config.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from deployments.app import AppArguments, EmptyRegistry, build


def test_the_old_spelling_of_an_argument_still_works() -> None:
    arguments = AppArguments.model_validate({"workload": "apogee", "own_steward": False})
    assert not arguments.own_lifecycle_controller


def test_an_argument_that_there_is_not_is_an_error() -> None:
    with pytest.raises(ValidationError, match="own_stewart"):
        AppArguments.model_validate({"workload": "apogee", "own_stewart": False})


def test_without_a_model_nothing_is_built_and_no_registry_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYSONDE_VAR", str(tmp_path))
    for name in ("RAYSONDE_REGISTRY_URI", "RAYSONDE_STORE_URL", "RAYSONDE_WORKLOADS"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(EmptyRegistry, match=r"no model of apogee .* train one with: raysonde train apogee"):
        build(AppArguments(workload="apogee"))
    assert not (tmp_path / "mlflow").exists()
