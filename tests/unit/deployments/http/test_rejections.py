"""Requests that are refused are counted for the Monitor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deployments.http.rejections import RejectionRecorder
from deployments.http.request_metrics import RequestCounts, RequestMetricsMiddleware
from deployments.store import StoreUnavailable
from tests.support.monitored import MonitoredScene


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[MonitoredScene]:
    scene = MonitoredScene(tmp_path)
    yield scene
    scene.close()


async def test_refused_predictions_are_counted_and_nothing_else_is(scene: MonitoredScene) -> None:
    counts = RequestCounts()
    recorder = RejectionRecorder(counts, scene.workload, scene.feed)
    await recorder.flush()
    assert scene.feed.rejections(scene.workload, 0) == []
    await scene.system.stack.follower.poll()
    example = scene.system.contract.example
    transport = httpx.ASGITransport(RequestMetricsMiddleware(scene.system.app, counts))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        statuses = [
            (await client.post("/predict", json=example)).status_code,
            (await client.post("/predict", json=example | {"Age": -1})).status_code,
            (await client.post("/predict", content=b"{")).status_code,
            (await client.post("/batch_predict", json={"instances": [{}]})).status_code,
            (await client.post("/feedback", json={})).status_code,
            (await client.get("/predict")).status_code,
            (await client.post("/predict", content=b"{", headers={"Raysonde-Probe": "1"})).status_code,
        ]
    assert statuses == [200, 422, 400, 422, 422, 405, 400]
    await recorder.flush()
    await recorder.flush()
    (row,) = scene.feed.rejections(scene.workload, 0)
    assert row.requests == 3
    assert scene.feed.rejections(scene.workload, row.seq) == []
    await scene.system.stack.close()


class Sink:
    def __init__(self) -> None:
        self.is_away = True
        self.taken: list[int] = []

    def add_rejections(self, workload: str, requests: int) -> None:
        if self.is_away:
            raise StoreUnavailable("away")
        self.taken.append(requests)


async def test_counts_wait_for_a_store_that_is_away() -> None:
    counts, sink = RequestCounts(), Sink()
    recorder = RejectionRecorder(counts, "w", sink)
    for _ in range(2):
        counts.add("predict", 422, 0.001, "invalid")
        await recorder.flush()
    sink.is_away = False
    await recorder.flush()
    assert sink.taken == [2]


@pytest.mark.parametrize("call", ["predict", "batch_predict", "feedback"])
@pytest.mark.parametrize("status", [200, 202, 400, 401, 404, 405, 409, 413, 422, 429, 500, 503])
async def test_a_rejection_is_a_call_for_predictions_that_its_content_made_fail(
    call: str, status: int
) -> None:
    counts, sink = RequestCounts(), Sink()
    sink.is_away = False
    counts.add(call, status, 0.001, None)
    await RejectionRecorder(counts, "w", sink).flush()
    is_rejection = call in ("predict", "batch_predict") and status in (400, 409, 413, 422)
    assert sink.taken == [1] * is_rejection
