"""The registry on a real MLflow, whose database is SQLite or PostgreSQL."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool
from toy.parts import WORKLOADS, toy_contract, toy_parts
from ulid_transform import ulid_now

from deployments.domain.routing import ArmVersion
from deployments.lifecycle.observation import Unreadable
from deployments.lifecycle.registry import RegisteredVersions, SharedRegistry
from tests.support.clocks import SecondsClock
from tests.support.postgres import Cluster
from training.registry.model_version import UnreadableVersion
from training.registry.models import ModelVersion, Registry
from training.runtime.bundle import read_bundle, write_bundle
from training.runtime.errors import ForeignBundle
from training.runtime.settings import Settings

pytestmark = pytest.mark.integration


def settings_at(var: Path, uri: str | None = None) -> Settings:
    uri = uri or f"sqlite:///{var}/mlflow/mlflow.db"
    return Settings(var, WORKLOADS, uri, f"sqlite:///{var}/store.db")


class SqliteFiles:
    """MLflow takes seconds to make its tables: a file with them is made once, and copied."""

    def __init__(self, var: Path) -> None:
        self._made = var / "mlflow" / "mlflow.db"
        Registry(settings_at(var))

    def new(self, var: Path) -> str:
        copy = var / "mlflow" / "mlflow.db"
        copy.parent.mkdir()
        with closing(sqlite3.connect(self._made)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        return f"sqlite:///{copy}"


class PostgresCopies:
    """The same by a template; MLflow keeps its connections, which a copy does not allow."""

    def __init__(self, cluster: Cluster, var: Path) -> None:
        self._cluster = cluster
        cluster.execute("CREATE DATABASE mlflow_made")
        Registry(settings_at(var, cluster.url("mlflow_made")))
        cluster.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'mlflow_made'"
        )

    def new(self, var: Path) -> str:
        name = f"mlflow_{ulid_now()}".lower()
        self._cluster.execute(f"CREATE DATABASE {name} TEMPLATE mlflow_made")
        return self._cluster.url(name)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def copies(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> SqliteFiles | PostgresCopies:
    var = tmp_path_factory.mktemp("registry")
    if request.param == "sqlite":
        return SqliteFiles(var)
    return PostgresCopies(request.getfixturevalue("cluster"), var)


@pytest.fixture
def settings(copies: SqliteFiles | PostgresCopies, tmp_path: Path) -> Settings:
    return settings_at(tmp_path, copies.new(tmp_path))


@pytest.fixture
def registry(settings: Settings) -> Registry:
    return Registry(settings)


def bundle_at(path: Path, family: str = "linear", seed: int = 0) -> Path:
    parts = toy_parts(seed)
    write_bundle(replace(parts, card=parts.card.model_copy(update={"family": family})), path)
    return path


def registered(registry: Registry, path: Path, family: str = "linear", seed: int = 0) -> ModelVersion:
    run = registry.client.create_run(registry.experiment("toy"))
    registry.client.log_metric(run.info.run_id, "mae", 1.5 + seed)
    return registry.register(bundle_at(path, family, seed), run.info.run_id)


def test_a_registered_bundle_is_read_back_from_its_source(registry: Registry, tmp_path: Path) -> None:
    version = registered(registry, tmp_path / "b")
    assert (version.workload, version.arm, version.version) == ("toy", "linear", "1")
    assert version.metrics == {"mae": 1.5}
    assert read_bundle(Path(version.source), version.bundle, toy_contract()).card.family == "linear"
    assert Path(version.source).is_relative_to(tmp_path / "mlflow" / "artifacts")


def test_champions_follow_the_alias(registry: Registry, tmp_path: Path) -> None:
    assert registry.champions("toy") == {}
    first, second = (registered(registry, tmp_path / str(seed), seed=seed) for seed in (0, 1))
    forest = registered(registry, tmp_path / "f", family="random_forest")
    assert registry.champions("toy") == {}
    registry.set_champion(first)
    registry.set_champion(forest)
    champions = registry.champions("toy")
    assert {arm: v.bundle for arm, v in champions.items()} == {
        "linear": first.bundle,
        "random_forest": forest.bundle,
    }
    registry.set_champion(second)
    assert registry.champions("toy")["linear"] == replace(second, aliases=("champion",))


def test_a_champion_is_asked_for_again_when_something_has_changed(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = registry.client.get_model_version_by_alias
    requests: list[tuple[str, ...]] = []

    def counted(*name: str) -> Any:
        requests.append(name)
        return ask(*name)

    monkeypatch.setattr(registry.client, "get_model_version_by_alias", counted)
    registry.set_champion(registered(registry, tmp_path / "0"))
    first = registry.champions("toy")["linear"]
    assert registry.champions("toy")["linear"] == first
    assert len(requests) == 1
    registry.client.delete_registered_model("toy.linear")
    again = registered(registry, tmp_path / "1", seed=1)
    assert again.version == first.version
    registry.set_champion(again)
    assert registry.champions("toy")["linear"].bundle == again.bundle != first.bundle


def test_versions_come_newest_first_with_their_aliases(registry: Registry, tmp_path: Path) -> None:
    versions = [registered(registry, tmp_path / str(seed), seed=seed) for seed in (0, 1, 2)]
    registry.set_champion(versions[1])
    found = registry.versions("toy")
    assert [(v.version, v.aliases) for v in found] == [("3", ()), ("2", ("champion",)), ("1", ())]
    assert [v.metrics["mae"] for v in found] == [3.5, 2.5, 1.5]


def test_a_version_made_by_hand_is_found(registry: Registry, tmp_path: Path) -> None:
    path = bundle_at(tmp_path / "by hand")
    registry.client.create_registered_model("toy.linear")
    made = registry.client.create_model_version("toy.linear", source=str(path))
    registry.client.set_registered_model_alias("toy.linear", "champion", made.version)
    champion = registry.champions("toy")["linear"]
    assert champion.bundle == read_bundle(path).content_hash
    assert champion.source == str(path)
    assert champion.metrics == {}


def test_a_champion_that_comes_late_is_read_when_it_is_there(settings: Settings, tmp_path: Path) -> None:
    clock = SecondsClock()
    registry = Registry(settings, clock)
    registry.client.create_registered_model("toy.linear")
    late = tmp_path / "late"
    made = registry.client.create_model_version("toy.linear", source=str(late))
    registry.client.set_registered_model_alias("toy.linear", "champion", made.version)
    found = registry.holders("toy")["champion"]["linear"]
    assert isinstance(found, UnreadableVersion)
    assert (found.version, str(late) in found.reason) == ("1", True)
    # a version without the tag is one, though nobody can read it now
    assert registry.find("toy", "linear", "1") == found
    assert registry.find("toy", "linear", "2") is None
    bundle_at(late)
    assert registry.champions("toy") == {}
    clock.now_s += 2
    assert registry.champions("toy")["linear"].source == str(late)


@pytest.mark.parametrize("alias", ["champion", "challenger"])
def test_an_alias_of_a_version_that_is_gone_stops_no_other_arm(
    settings: Settings, tmp_path: Path, alias: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As it is left by hand, past MLflow, which takes the alias away with the version."""
    registry = Registry(settings)
    good = registered(registry, tmp_path / "good", family="mlp")
    registry.set_champion(good)
    registered(registry, tmp_path / "gone")
    registry.client.set_registered_model_alias("toy.linear", alias, "1")
    registry.client.set_registered_model_alias("toy.mlp", alias, "1")
    with create_engine(settings.registry_uri, poolclass=NullPool).begin() as connection:
        connection.execute(text("UPDATE registered_model_aliases SET version = 7 WHERE name = 'toy.linear'"))
    for _ in range(3):
        holders = registry.holders("toy")[alias]
        dangling = holders["linear"]
        assert isinstance(dangling, UnreadableVersion)
        assert (dangling.version, dangling.reason) == (
            "7",
            f"the alias {alias} names a version that is not there",
        )
        assert isinstance(holders["mlp"], ModelVersion)
    assert len([r for r in caplog.records if r.name == "training.registry.models"]) == 1
    versions = RegisteredVersions(SharedRegistry(settings), "toy")
    aliases = versions.read()
    assert set(aliases.champions) == {"mlp"}
    assert set(aliases.challengers) == ({"mlp"} if alias == "challenger" else set())
    assert aliases.unreadable == (
        {"linear": Unreadable("7", f"the alias {alias} names a version that is not there")}
        if alias == "champion"
        else {}
    )
    assert isinstance(versions.find("linear", "1"), ArmVersion)


def test_a_champion_that_is_no_bundle_is_left_out_and_logged_once(
    registry: Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = registered(registry, tmp_path / "good", family="mlp")
    registry.set_champion(good)
    (tmp_path / "empty").mkdir()
    registry.client.create_registered_model("toy.linear")
    bad = registry.client.create_model_version("toy.linear", source=str(tmp_path / "empty"))
    registry.client.set_registered_model_alias("toy.linear", "champion", bad.version)
    for _ in range(3):
        assert set(registry.champions("toy")) == {"mlp"}
    assert [r.levelno for r in caplog.records if r.name == "training.registry.models"] == [logging.WARNING]


def test_other_workloads_are_not_mixed_in(registry: Registry, tmp_path: Path) -> None:
    registry.set_champion(registered(registry, tmp_path / "b"))
    assert registry.champions("to_") == {}
    assert registry.versions("to") == []


def test_what_is_no_bundle_is_not_registered(registry: Registry, tmp_path: Path) -> None:
    run = registry.client.create_run(registry.experiment("toy"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ForeignBundle):
        registry.register(tmp_path / "empty", run.info.run_id)
    assert registry.versions("toy") == []


def test_two_registries_share_one_database(registry: Registry, settings: Settings, tmp_path: Path) -> None:
    other = Registry(settings)
    for seed in range(3):
        version = registered(registry if seed % 2 else other, tmp_path / str(seed), seed=seed)
        registry.set_champion(version)
        assert other.champions("toy")["linear"].bundle == version.bundle


def test_first_use_prints_nothing_and_makes_a_file_for_several_processes(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from training.registry.models import Registry; "
        "from training.runtime.settings import Settings; import sys; var = Path(sys.argv[1]); "
        "Registry(Settings(var, var, f'sqlite:///{var}/mlflow/mlflow.db', ''))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert (tmp_path / "mlflow" / "mlflow.db").is_file()
    with closing(sqlite3.connect(tmp_path / "mlflow" / "mlflow.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
