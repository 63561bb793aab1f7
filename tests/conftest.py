"""Rules and fixtures of all tests."""

from __future__ import annotations

import gc
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import Phase, settings

from features.config import load_contract
from features.contract import Contract
from tests.support.databases import Databases, PostgresDatabases, SqliteDatabases, one_of
from tests.support.postgres import Cluster, running_cluster
from tests.support.recorded import recorded_file
from tests.support.skips import STRICT_SKIPS, is_strict, may_be_skipped
from training.runtime.settings import REPOSITORY

# how long an example takes is a matter of what else the machine does
settings.register_profile("quick", deadline=None, max_examples=100)
settings.register_profile("full", deadline=None, max_examples=400)
# whether a test fails, and nothing more: for `make mutants`
settings.register_profile("mutants", deadline=None, phases=[Phase.explicit, Phase.generate])
settings.load_profile("quick")

AnyReport = TypeVar("AnyReport", pytest.TestReport, pytest.CollectReport)


def pytest_collection_finish() -> None:
    """Spare the collector what imports have left: a second each time it looks at all of it."""
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that is skipped for a reason that a strict run does not accept."""
    return _with_skips_checked((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that is skipped as a whole."""
    return _with_skips_checked((yield))


def _with_skips_checked(report: AnyReport) -> AnyReport:
    if report.skipped and isinstance(report.longrepr, tuple) and is_strict():
        reason = report.longrepr[2]
        if not may_be_skipped(reason):
            report.outcome = "failed"
            report.longrepr = f"{reason}\n{STRICT_SKIPS} is set, and this is no reason that it accepts"
    return report


@pytest.fixture(autouse=True)
def _no_ray_in_unit_tests(request: pytest.FixtureRequest) -> Iterator[None]:
    """A unit test that starts Ray fails: pure logic is tested without it."""
    yield
    if request.node.get_closest_marker("integration") is None and _ray_is_up():
        sys.modules["ray"].shutdown()  # so that only this test fails
        pytest.fail("this test started Ray: mark it with pytest.mark.integration, or test the pure part")


def _ray_is_up() -> bool:
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


@pytest.fixture(scope="session")
def apogee() -> Contract:
    """The contract of the first workload."""
    return load_contract(REPOSITORY / "configs" / "workloads", "apogee")


@pytest.fixture(scope="session")
def recorded_flights() -> Path:
    """Logs of real flights, which are not part of the repository."""
    return recorded_file("data", "apogee", "flights_native.parquet")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL of this process; skips the test where there is none."""
    with running_cluster() as running:
        yield running


@pytest.fixture(scope="session")
def sqlite_databases(tmp_path_factory: pytest.TempPathFactory) -> SqliteDatabases:
    return SqliteDatabases(tmp_path_factory.mktemp("databases"))


@pytest.fixture(scope="session")
def postgres_databases(cluster: Cluster) -> PostgresDatabases:
    return PostgresDatabases(cluster)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest) -> Databases:
    """Of each kind that a store can have: what uses this, or a fixture below, runs once for each."""
    names = {"sqlite": "sqlite_databases", "postgresql": "postgres_databases"}
    found: Databases = request.getfixturevalue(names[request.param])
    return found


@pytest.fixture
def store_url(databases: Databases) -> Iterator[str]:
    """A store with nothing in it."""
    with one_of(databases) as url:
        yield url


@pytest.fixture
def empty_url(databases: Databases) -> Iterator[str]:
    """A database without tables."""
    with one_of(databases, with_tables=False) as url:
        yield url
