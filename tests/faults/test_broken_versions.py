"""Champions that cannot serve, while requests come: nobody notices, and what is mended serves by itself."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tests.faults.load import Load, LoadGenerator, run_load_beside, tell
from tests.support.mlflow_server import mlflow_server
from tests.support.models import register_version
from tests.support.system import RunningSystem, running_system, wait_until
from training.registry.models import ModelVersion, Registry

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

RATE_PER_S = 50
DURATION_S = 40.0
SERVES_WITHIN_S = 30.0


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    with running_system(tmp_path_factory.mktemp("versions"), "fast") as running:
        yield running


def under_load(system: RunningSystem, act: Callable[[], None]) -> Load:
    load = asyncio.run(run_load_beside(LoadGenerator(system, RATE_PER_S), DURATION_S, act))
    assert load.answered == 1, load.statuses
    return load


def info(system: RunningSystem) -> Any:
    with system.client() as client:
        return client.get("/info").json()


def serves(system: RunningSystem, version: ModelVersion) -> Callable[[], bool]:
    return lambda: info(system)["arms"][version.arm]["model_version"] == version.version


def is_held_back(system: RunningSystem, arm: str) -> Callable[[], bool]:
    return lambda: arm in info(system)["held_back"]


def test_a_torn_artifact_is_held_back_and_serves_when_it_is_mended(
    system: RunningSystem, tmp_path: Path
) -> None:
    registry = Registry(system.settings)
    new = register_version(registry, tmp_path / "new", "mlp", 11)
    model, whole = Path(new.source) / "model.onnx", tmp_path / "whole.onnx"
    shutil.copy(model, whole)

    def tear_and_mend() -> None:
        model.write_bytes(whole.read_bytes()[:-200])
        registry.set_champion(new)
        wait_until(is_held_back(system, "mlp"), SERVES_WITHIN_S, "the torn one is held back")
        held = info(system)["held_back"]["mlp"]
        assert held["model_version"] == new.version
        assert held["reason"].startswith("Replicas refuse it: ")
        assert not serves(system, new)()
        shutil.copy(whole, model)
        wait_until(serves(system, new), SERVES_WITHIN_S, "the mended one serves")
        assert info(system)["held_back"] == {}

    tell("torn artifact, mended", under_load(system, tear_and_mend))


def test_an_alias_of_a_version_that_is_gone_stops_no_other_arm(system: RunningSystem, tmp_path: Path) -> None:
    registry = Registry(system.settings)
    new = register_version(registry, tmp_path / "new", "random_forest", 12)

    def point_nowhere() -> None:
        with create_engine(system.settings.registry_uri, poolclass=NullPool).begin() as connection:
            changed = connection.execute(
                text("UPDATE registered_model_aliases SET version = 77 WHERE name = 'apogee.linear'")
            )
            assert changed.rowcount == 1
        wait_until(is_held_back(system, "linear"), SERVES_WITHIN_S, "the dangling alias is named")
        held = info(system)["held_back"]["linear"]
        assert (held["model_version"], "not there" in held["reason"]) == ("77", True)
        registry.set_champion(new)
        wait_until(serves(system, new), SERVES_WITHIN_S, "another arm gets its champion")
        registry.set_champion(system.champions["linear"])
        wait_until(lambda: info(system)["held_back"] == {}, SERVES_WITHIN_S, "the alias is mended")

    tell("dangling alias", under_load(system, point_nowhere))


@contextmanager
def stopped(url: str) -> Iterator[None]:
    """Stop the processes of the server at this address, and let them go on: it answers nothing meanwhile."""
    port = url.rsplit(":", 1)[1]
    servers = [one for one in psutil.process_iter(["cmdline"]) if port in (one.info["cmdline"] or ())]
    processes = [each for one in servers for each in (one, *one.children(recursive=True))]
    assert processes
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


def test_a_registry_that_is_away_holds_up_no_request_and_is_found_again(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("server")
    with mlflow_server(folder) as url:
        variables = {"RAYSONDE_REGISTRY_URI": url}
        with running_system(tmp_path, "fast", variables=variables) as system:
            registry = Registry(system.settings)
            new = register_version(registry, tmp_path / "new", "mlp", 13)
            registry.set_champion(new)
            wait_until(serves(system, new), SERVES_WITHIN_S, "a new champion comes over HTTP")

            with stopped(url):
                load = asyncio.run(LoadGenerator(system, RATE_PER_S).run(20))
                assert load.answered == 1, load.statuses
                tell("MLflow's server away", load)
            registry.set_champion(system.champions["mlp"])
            wait_until(serves(system, system.champions["mlp"]), 60, "its server is found again")
