"""Rules and fixtures of all tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from features.config import load_contract
from features.contract import Contract
from training.settings import REPOSITORY

# how long an example takes is a matter of what else the machine does
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

RECORDED_FLIGHTS = REPOSITORY.parent / "shared" / "data" / "apogee" / "flights_native.parquet"


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
    if not RECORDED_FLIGHTS.is_file():
        pytest.skip(f"no recorded flights at {RECORDED_FLIGHTS}: they are not part of the repository")
    return RECORDED_FLIGHTS
