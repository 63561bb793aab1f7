"""CoverageLevels on their way from the Monitor's page to the regions of answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from deployments.actors.arm import Arm
from deployments.actors.base import ReplicaOptions
from deployments.actors.feature_scaler import FeatureScaler
from deployments.inference.coverage_levels import CoverageLevels
from deployments.inference.messages import PredictedMessage, RawBatch
from deployments.store import Store, StoreUnavailable
from deployments.store.monitor_feed import ArmLevel, MonitoredPage
from deployments.store.monitored import Cursors
from tests.support.flights import fly, instance_of
from tests.support.handles import FakeHandle
from tests.support.models import apogee_contract
from tests.support.serving import POLICY, LocalSystem

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BODY = instance_of(apogee_contract(), fly(5)[0][105:160], "A12")
WIDE = 0.9995  # beyond the last level of a calibration


@pytest.fixture
def system(tmp_path: Path) -> LocalSystem:
    return LocalSystem(tmp_path)


def page(levels: Sequence[ArmLevel], at: datetime = NOW) -> MonitoredPage:
    return MonitoredPage(at, {}, Cursors(), {}, tuple(levels))


def learnt(system: LocalSystem, arm: str, level: float) -> ArmLevel:
    """As a Monitor writes it."""
    found = ArmLevel(arm, system.versions[arm].bundle, level)
    system.store.monitor_feed.write("apogee", page([found]))
    return found


async def ask(client: httpx.AsyncClient, arm: str = "mlp") -> dict[str, Any]:
    answer = await client.post("/predict", json=BODY, headers={"Raysonde-Arm": arm})
    assert answer.status_code == 200
    return dict(answer.json())


def width(answer: dict[str, Any]) -> float:
    lower, upper = answer["interval"]["apogee_m"]
    return float(upper - lower)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with closing(Store(store_url)) as opened:
        yield opened


def test_levels_are_those_of_the_last_page_of_the_workload(store: Store) -> None:
    assert store.monitor_feed.levels("apogee") == []
    first = [ArmLevel("mlp", "sha256:1", 0.95), ArmLevel("linear", "sha256:2", 0.999984)]
    store.monitor_feed.write("apogee", page(first))
    store.monitor_feed.write("weather", page([ArmLevel("mlp", "sha256:3", 0.8)]))
    assert sorted(store.monitor_feed.levels("apogee"), key=lambda one: one.bundle) == first
    second = [ArmLevel("mlp", "sha256:4", 0.9)]
    store.monitor_feed.write("apogee", page(second, NOW + timedelta(seconds=5)))
    assert store.monitor_feed.levels("apogee") == second
    store.monitor_feed.write("apogee", page([], NOW + timedelta(seconds=10)))
    assert store.monitor_feed.levels("apogee") == []
    assert len(store.monitor_feed.levels("weather")) == 1


def test_a_page_that_cannot_be_written_leaves_the_levels_as_they_are(store: Store) -> None:
    store.monitor_feed.write("apogee", page([ArmLevel("mlp", "sha256:1", 0.95)]))
    twice = [ArmLevel("mlp", "sha256:1", level) for level in (0.96, 0.97)]
    with pytest.raises(Exception, match=r"(?i)unique constraint"):
        store.monitor_feed.write("apogee", page(twice, NOW + timedelta(seconds=5)))
    assert store.monitor_feed.levels("apogee") == [ArmLevel("mlp", "sha256:1", 0.95)]
    seen = store.monitor_feed.page("apogee")
    assert seen is not None
    assert seen.at == NOW


def test_the_last_levels_stay_while_the_store_is_away(caplog: pytest.LogCaptureFixture) -> None:
    answers: list[Any] = [[ArmLevel("mlp", "sha256:1", 0.95)], StoreUnavailable("away"), []]

    def read() -> Sequence[ArmLevel]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return list(answer)

    levels, found = CoverageLevels(read), []
    for _ in range(3):
        levels.refresh()
        found.append(levels.level("mlp", "sha256:1"))
    assert found == [0.95, 0.95, None]
    assert "levels not read: away" in caplog.text
    assert CoverageLevels().level("mlp", "sha256:1") is None


async def test_answers_get_regions_of_the_level_that_was_learnt(system: LocalSystem) -> None:
    async with system.http() as client:
        before = await ask(client)
        learnt(system, "mlp", WIDE)
        await system.stack.follower.poll()
        after, other = await ask(client), await ask(client, "linear")
        arms = (await client.get("/info")).json()["arms"]
    assert width(after) > 1.5 * width(before)
    assert after["prediction"] == before["prediction"]
    assert after["coverage"] == before["coverage"] == 0.9  # what the region is to hold
    assert {name: arm["level"] for name, arm in arms.items()} == {
        "mlp": WIDE,
        "linear": None,
        "random_forest": None,
    }
    rows = [(row.arm, row.level, row.coverage) for _, row in system.store.predictions("apogee")]
    assert rows == [("mlp", None, 0.9), ("mlp", WIDE, 0.9), ("linear", None, 0.9)]
    assert "level" not in other


async def test_a_new_bundle_begins_at_the_nominal_level(system: LocalSystem) -> None:
    async with system.http() as client:
        expected = await ask(client)
        system.store.monitor_feed.write("apogee", page([ArmLevel("mlp", "sha256:other", WIDE)]))
        await system.stack.follower.poll()
        assert width(await ask(client)) == width(expected)


async def test_what_the_cache_keeps_of_another_level_is_not_served(system: LocalSystem) -> None:
    system.store.put_policy(
        "apogee", POLICY.model_validate(POLICY.model_dump() | {"cache": {"max_entries": 10}})
    )
    async with system.http() as client:
        nominal = [await ask(client) for _ in range(2)]
        learnt(system, "mlp", WIDE)
        await system.stack.follower.poll()
        wide = [await ask(client) for _ in range(2)]
        learnt(system, "mlp", 0.95)
        await system.stack.follower.poll()
        await ask(client)
        learnt(system, "mlp", WIDE)
        await system.stack.follower.poll()
        wide.append(await ask(client))
    assert width(wide[0]) > width(nominal[0]) == width(nominal[1])
    assert {width(one) for one in wide} == {width(wide[0])}
    cached = [row.cached for _, row in system.store.predictions("apogee")]
    assert cached == [False, True, False, True, False, True]


async def test_an_ensemble_blends_regions_of_the_levels_of_its_members(system: LocalSystem) -> None:
    ensembles = {"blend": {"arms": ["mlp", "linear"]}}
    system.store.put_policy("apogee", POLICY.model_validate(POLICY.model_dump() | {"ensembles": ensembles}))
    async with system.http() as client:
        before = await ask(client, "blend")
        learnt(system, "mlp", WIDE)
        await system.stack.follower.poll()
        after, mlp, linear = [await ask(client, arm) for arm in ("blend", "mlp", "linear")]
    assert width(after) == pytest.approx((width(mlp) + width(linear)) / 2)
    assert width(after) > width(before)
    row = system.store.predictions("apogee")[1][1]
    assert row.members is not None
    assert (row.level, row.members["mlp"]["level"], row.members["linear"]["level"]) == (None, WIDE, None)


async def test_an_arm_makes_regions_of_the_level_that_it_is_asked_for(
    system: LocalSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Serve holds it and the scaler."""
    monkeypatch.setattr("deployments.actors.base.configure_log_file", lambda *_: None)
    options = ReplicaOptions(
        system.contract, tmp_path / "cache", tmp_path / "logs", f"sqlite:///{tmp_path}/store.db"
    )
    scaler = FeatureScaler(options, {"mlp": FakeHandle(Arm("mlp", options))})
    version, raw = system.versions["mlp"], system.parts["mlp"].golden.raw[:3]
    calls = [scaler.predict(RawBatch("mlp", version, raw, level)) for level in (None, 0.9, WIDE)]
    answers = [answer for answer in await asyncio.gather(*calls) if isinstance(answer, PredictedMessage)]
    widths = np.array([answer.predicted["upper"] - answer.predicted["lower"] for answer in answers])
    assert np.array_equal(widths[0], widths[1])
    assert np.all(widths[2] > 1.5 * widths[0])
    assert {answer.coverage for answer in answers} == {0.9}
