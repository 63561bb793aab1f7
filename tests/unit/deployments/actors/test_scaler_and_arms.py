"""What the Router asks of the FeatureScaler, and that of the arms, with handles that are plain calls."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import numpy as np
import pytest

from deployments.actors.arm import Arm, MixedVersions
from deployments.actors.autoscaling import CALLS_IN_FLIGHT, IDLE_PROCESSORS
from deployments.actors.base import ReplicaOptions
from deployments.actors.feature_scaler import FeatureScaler
from deployments.domain.downstream import DownstreamError
from deployments.domain.routing import ArmVersion
from deployments.inference.coverage_levels import CoverageLevels
from deployments.inference.messages import PredictedMessage, RawBatch, ScaledBatch
from deployments.inference.model_client import ModelClient
from deployments.rpc.client import RpcClient
from deployments.rpc.connection import CallFailed
from deployments.store.monitor_feed import ArmLevel
from features.workload import load_workload
from tests.support.conditions import wait_for
from tests.support.handles import FakeHandle
from tests.support.models import windows
from tests.support.serving import ARMS, LocalSystem
from training.runtime.inference import Model
from training.runtime.tasks.factory import make_task

RAW = windows()[0][:5]


class Graph:
    def __init__(self, folder: Path) -> None:
        system = LocalSystem(folder)
        options = ReplicaOptions(
            system.contract, folder / "cache", folder / "logs", f"sqlite:///{folder}/store.db"
        )
        self.versions = system.versions
        self.arms = {arm: FakeHandle(Arm(arm, options)) for arm in ARMS}
        self.scaler = FeatureScaler(options, self.arms)
        self.scaler_handle = FakeHandle(self.scaler)
        task = make_task(system.contract, load_workload(system.contract))
        self.levels = CoverageLevels(lambda: [ArmLevel("linear", self.versions["linear"].bundle, 0.5)])
        calls = RpcClient(self.scaler_handle, "predict", is_direct=False)
        self.downstream = ModelClient(task, calls, self.levels)
        self.models = {arm: Model(parts) for arm, parts in system.parts.items()}

    def batch(self, arm: str, rows: int = 2) -> RawBatch:
        return RawBatch(arm, self.versions[arm], RAW[:rows])

    def offline(self, arm: str, rows: int = 2) -> np.ndarray:
        return self.models[arm].predict(RAW[:rows])["prediction"]


@pytest.fixture
def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Graph:
    # each replica would take the log of this process for its own
    monkeypatch.setattr("deployments.actors.base.configure_log_file", lambda folder, name: None)
    return Graph(tmp_path)


async def test_the_scaler_answers_with_what_the_arm_predicts(graph: Graph) -> None:
    answer = await graph.scaler.predict(graph.batch("mlp"))
    assert isinstance(answer, PredictedMessage)
    assert answer.bundle == graph.versions["mlp"].bundle
    np.testing.assert_allclose(answer.predicted["prediction"], graph.offline("mlp"))
    assert answer.outlier_score.shape == (2,)


async def test_the_router_asks_the_scaler_which_asks_the_arm(graph: Graph) -> None:
    answers = await asyncio.gather(*(graph.downstream(arm, graph.versions[arm], RAW[:2]) for arm in ARMS))
    assert graph.scaler_handle.methods == ["predict"] * len(ARMS)
    assert {arm: graph.arms[arm].methods for arm in ARMS} == {arm: ["predict"] for arm in ARMS}
    for arm, rows in zip(ARMS, answers, strict=True):
        assert [row.prediction["apogee_m"] for row in rows] == pytest.approx(graph.offline(arm).tolist())


async def test_rows_get_regions_the_level_of_their_arm(graph: Graph) -> None:
    async def width() -> float:
        (row,) = await graph.downstream("linear", graph.versions["linear"], RAW[:1])
        low, high = row.region["apogee_m"]
        return float(high - low)

    nominal = await width()
    graph.levels.refresh()
    assert 0 < await width() < nominal


async def test_an_arm_that_fails_fails_alone_and_says_why(graph: Graph) -> None:
    graph.arms["mlp"].error = ValueError("Traceback ...\n  line 1\nthe model is broken")
    failed, answered = await asyncio.gather(
        *(graph.downstream(arm, graph.versions[arm], RAW[:2]) for arm in ("mlp", "linear")),
        return_exceptions=True,
    )
    assert isinstance(failed, DownstreamError)
    assert str(failed) == "mlp 1: the model is broken"
    assert isinstance(answered, list)
    with pytest.raises(DownstreamError, match=r"^mlp 1: the model is broken$"):
        await graph.downstream("mlp", graph.versions["mlp"], RAW[:2])


async def test_an_arm_that_does_not_answer_holds_up_no_other(graph: Graph) -> None:
    graph.arms["mlp"].gate = asyncio.Event()
    stuck, answered = (
        asyncio.create_task(graph.downstream(arm, graph.versions[arm], RAW[:2])) for arm in ("mlp", "linear")
    )
    async with asyncio.timeout(10):
        await answered
    assert not stuck.done()
    graph.arms["mlp"].gate.set()
    await stuck


async def test_an_arm_that_is_stopped_under_way_has_failed(graph: Graph) -> None:
    graph.arms["mlp"].error = asyncio.CancelledError()
    with pytest.raises(CallFailed, match=r"^the replica was stopped$"):
        await graph.scaler.predict(graph.batch("mlp"))
    with pytest.raises(DownstreamError, match=r"^mlp 1: the replica was stopped$"):
        await graph.downstream("mlp", graph.versions["mlp"], RAW[:2])


async def test_predictions_are_calls_under_way_and_nothing_else_is(graph: Graph) -> None:
    arm = graph.arms["mlp"].replica
    replicas = (graph.scaler, arm)
    await graph.scaler.load(graph.versions["mlp"])
    await arm.load(graph.versions["mlp"])
    assert [replica.record_autoscaling_stats()[CALLS_IN_FLIGHT] for replica in replicas] == [0, 0]
    await graph.scaler.predict(graph.batch("mlp"))
    scaler, arm_ = (replica.record_autoscaling_stats() for replica in replicas)
    assert 1 > scaler[CALLS_IN_FLIGHT] > arm_[CALLS_IN_FLIGHT] > 0
    assert 0 <= scaler[IDLE_PROCESSORS] <= (os.cpu_count() or 1)


async def test_who_gives_a_call_up_ends_it_in_the_scaler_too(graph: Graph) -> None:
    graph.arms["mlp"].gate = asyncio.Event()
    call = asyncio.create_task(graph.scaler.predict(graph.batch("mlp")))
    await wait_for(lambda: graph.arms["mlp"].methods == ["predict"])
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_version_that_cannot_be_loaded_fails_and_names_its_source(graph: Graph) -> None:
    gone = ArmVersion(model_version="2", bundle="sha256:" + "0" * 64, source="/nowhere")
    with pytest.raises(DownstreamError, match="/nowhere"):
        await graph.downstream("mlp", gone, RAW[:1])


async def test_rows_scaled_for_another_version_are_refused_by_the_arm(graph: Graph) -> None:
    scaled = graph.models["linear"].scaler.transform(RAW[:2])
    batch = ScaledBatch(graph.versions["linear"].bundle, scaled, np.zeros(2))
    with pytest.raises(MixedVersions, match="rows scaled for"):
        await graph.arms["mlp"].replica.predict(graph.versions["mlp"], batch)
