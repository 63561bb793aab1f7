"""The registry on a real MLflow server: bundles reach replicas by its artifact API, without a common disk."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from toy.parts import WORKLOADS, toy_contract, toy_parts

from deployments.lifecycle.bundle_cache import BundleCache
from tests.support.mlflow_server import mlflow_server
from tests.support.system import free_port
from training.registry.models import ModelVersion, Registry
from training.runtime.bundle import write_bundle
from training.runtime.errors import TamperedBundle
from training.runtime.settings import Settings

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the server."""
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def url(disk: Path) -> Iterator[str]:
    with mlflow_server(disk) as address:
        yield address


@pytest.fixture(scope="module")
def registry(url: str, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return Registry(Settings(tmp_path_factory.mktemp("var"), WORKLOADS, url, "sqlite:///none.db"))


@pytest.fixture(scope="module")
def champion(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> ModelVersion:
    path = tmp_path_factory.mktemp("trained") / "bundle"
    write_bundle(toy_parts(), path)
    run = registry.client.create_run(registry.experiment("toy"))
    registry.client.log_metric(run.info.run_id, "mae", 1.25)
    version = registry.register(path, run.info.run_id)
    registry.set_champion(version)
    return version


def test_a_champion_comes_from_the_server_into_the_cache(
    registry: Registry, url: str, champion: ModelVersion, tmp_path: Path
) -> None:
    found = registry.champions("toy")["linear"]
    assert (found.bundle, found.metrics) == (champion.bundle, {"mae": 1.25})
    # no host: the routing table that keeps this outlives an address
    assert found.source.startswith("mlflow-artifacts:/")
    bundle = BundleCache(tmp_path, toy_contract(), url).fetch(found.bundle, found.source)
    assert bundle.content_hash == champion.bundle
    assert bundle.path.parent == tmp_path
    assert [path.name for path in tmp_path.iterdir()] == [bundle.path.name]


def test_a_bundle_in_the_cache_needs_no_server(url: str, champion: ModelVersion, tmp_path: Path) -> None:
    BundleCache(tmp_path, toy_contract(), url).fetch(champion.bundle, champion.source)
    away = BundleCache(tmp_path, toy_contract(), f"http://127.0.0.1:{free_port()}")
    assert away.fetch(champion.bundle, champion.source).content_hash == champion.bundle


def test_the_whole_address_is_as_good(url: str, champion: ModelVersion, tmp_path: Path) -> None:
    path = champion.source.removeprefix("mlflow-artifacts:/")
    source = f"{url}/api/2.0/mlflow-artifacts/artifacts/{path}"
    assert (
        BundleCache(tmp_path, toy_contract()).fetch(champion.bundle, source).content_hash == champion.bundle
    )


def test_what_was_changed_on_the_server_is_refused(
    registry: Registry, url: str, disk: Path, tmp_path: Path
) -> None:
    parts = toy_parts(seed=1)
    write_bundle(replace(parts, card=parts.card.model_copy(update={"family": "mlp"})), tmp_path / "b")
    run = registry.client.create_run(registry.experiment("toy"))
    version = registry.register(tmp_path / "b", run.info.run_id)
    (stored,) = disk.glob(f"artifacts/*/{run.info.run_id}/artifacts/bundle/model.onnx")
    stored.write_bytes(stored.read_bytes() + b"!")
    with pytest.raises(TamperedBundle, match=r"model\.onnx"):
        BundleCache(tmp_path / "cache", toy_contract(), url).fetch(version.bundle, version.source)
    assert not list((tmp_path / "cache").iterdir())


def test_what_is_not_there_is_no_bundle_but_may_come(
    url: str, champion: ModelVersion, tmp_path: Path
) -> None:
    gone = f"{champion.source}-elsewhere"
    with pytest.raises(FileNotFoundError):
        BundleCache(tmp_path, toy_contract(), url).fetch(champion.bundle, gone)
    assert not list(tmp_path.iterdir())


def test_a_version_made_by_hand_is_found(
    registry: Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parts = toy_parts(seed=2)
    write_bundle(replace(parts, card=parts.card.model_copy(update={"family": "gru"})), tmp_path / "b")
    run = registry.client.create_run(registry.experiment("toy"))
    registry.client.log_artifacts(run.info.run_id, str(tmp_path / "b"), "mine")
    registry.client.create_registered_model("toy.gru")
    source = f"{run.info.artifact_uri}/mine"
    made = registry.client.create_model_version("toy.gru", source, run.info.run_id)
    nothing = registry.client.create_model_version("toy.gru", f"{source}-not", run.info.run_id)
    with caplog.at_level(logging.WARNING, "training.registry.models"):
        for _ in range(2):
            assert [one.version for one in registry.versions("toy") if one.arm == "gru"] == [made.version]
    (record,) = (record for record in caplog.records if record.name == "training.registry.models")
    assert isinstance(record.args, tuple)
    assert (nothing.name, str(nothing.version)) == record.args[:2]


def test_a_replica_imports_no_mlflow_for_it(url: str, champion: ModelVersion, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from deployments.lifecycle.bundle_cache import BundleCache\n"
        "from features.config import load_contract\n"
        "contract = load_contract(Path(sys.argv[1]), 'toy')\n"
        "BundleCache(Path(sys.argv[2]), contract, sys.argv[3]).fetch(*sys.argv[4:])\n"
        "assert not {'mlflow', 'ray', 'torch'} & set(sys.modules)"
    )
    arguments = [str(WORKLOADS), str(tmp_path), url, champion.bundle, champion.source]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)
