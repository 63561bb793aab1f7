"""`raysonde train --missing`: what a cluster calls before each start."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.domain.routing import ArmVersion, RoutingPolicy
from deployments.store import Store
from features.config import load_sections
from scripts.cli.main import app
from training.runtime.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a system that serves apogee, as its store tells."""
    for name in ("RAYSONDE_STORE_URL", "RAYSONDE_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAYSONDE_VAR", str(tmp_path))
    settings = Settings.from_environment()
    registry = Path(settings.registry_uri.removeprefix("sqlite:///"))
    registry.parent.mkdir()
    registry.touch()
    policy = RoutingPolicy.model_validate(load_sections(settings.workloads, "apogee")["routing"])
    version = ArmVersion(model_version="1", bundle="sha256:1", source="models/1")
    with closing(Store(settings.store_url)) as store:
        store.create_tables()
        store.put_policy("apogee", policy)
        store.put_arms("apogee", dict.fromkeys(policy.arms, version))
    return settings


def test_nothing_is_trained_where_every_arm_has_its_model(settings: Settings) -> None:
    result = CliRunner().invoke(app, ["train", "--missing", "apogee"])
    assert result.exit_code == 0
    assert result.output.strip() == "Every arm has its model: nothing is trained."


def test_a_registry_that_cannot_be_read_is_no_reason_to_train(settings: Settings) -> None:
    Path(settings.registry_uri.removeprefix("sqlite:///")).write_text("no database")
    result = CliRunner().invoke(app, ["train", "--missing", "calories"])
    assert result.exit_code == 1
    assert "cannot be read" in result.output
