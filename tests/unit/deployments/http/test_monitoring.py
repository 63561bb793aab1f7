"""`GET /monitor` and `GET /drift/report`, from what a Monitor has written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from deployments.http.app import build_api
from deployments.monitoring.input_drift import ReferenceBins
from deployments.monitoring.report import make_report
from deployments.monitoring.report_process import ReportFailed, report_html
from tests.support.monitored import ARM, MonitoredScene


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[MonitoredScene]:
    scene = MonitoredScene(tmp_path)
    yield scene
    scene.close()


async def get(scene: MonitoredScene, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(build_api(scene.system.stack, scene.feed))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get(path)


async def test_what_the_monitor_has_seen_is_shown(scene: MonitoredScene) -> None:
    for path in ("/monitor", "/drift/report"):
        answer = await get(scene, path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    scene.traffic(15)
    scene.monitor().poll()
    found = (await get(scene, "/monitor")).json()
    assert found["at"] == scene.clock.now.isoformat().replace("+00:00", "Z")
    arm = found["windows"]["300_s"]["arms"][ARM]
    assert (arm["predictions"], arm["truths"], arm["truth_share"]) == (300, 300, 1.0)
    assert arm["histogram"][0].keys() == {"from", "to", "count"}
    report = await get(scene, "/drift/report")
    assert report.headers["content-type"] == "text/html; charset=utf-8"
    assert report.headers["last-modified"] == "Sun, 01 Mar 2026 12:00:15 GMT"
    assert "weight_kg" in report.text


async def test_old_states_are_answered_on_request_and_logged_once(
    scene: MonitoredScene, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.monitoring.poller.MonitorLoop._write_report", lambda *_: None)
    scene.traffic(15)
    scene.monitor().poll()
    transport = httpx.ASGITransport(build_api(scene.system.stack, scene.feed))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        new = await client.get("/monitor")
        assert caplog.records == []
        old = [await client.get("/monitor", params={"spelling": "old"}) for _ in range(2)]
        wrong = await client.get("/monitor", params={"spelling": "older"})
    assert {one["state"] for one in new.json()["drift"]} == {"insufficient_data", "ok"}
    for answer in old:
        assert {one["state"] for one in answer.json()["drift"]} == {"warming", "cool"}
        assert {**answer.json(), "drift": []} == {**new.json(), "drift": []}
    assert [record.name for record in caplog.records] == ["deployments.http.monitoring"]
    assert "ok and insufficient_data in place of hot, cool and warming" in caplog.text
    assert (wrong.status_code, wrong.json()["field"]) == (422, "spelling")


async def test_the_routes_are_documented(scene: MonitoredScene) -> None:
    paths = (await get(scene, "/openapi.json")).json()["paths"]
    schema = paths["/monitor"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/MonitorPage"}
    (spelling,) = paths["/monitor"]["get"]["parameters"]
    assert spelling["schema"]["enum"] == ["new", "old"]
    assert "hot, cool, warming" in spelling["description"]
    assert "text/html" in paths["/drift/report"]["get"]["responses"]["200"]["content"]


def test_the_report_and_the_detector_agree() -> None:
    rng = np.random.default_rng(0)
    reference = rng.normal(size=(1000, 3, 2))
    live = rng.normal(size=(300, 3, 2)) + np.array([0.0, 0.6])
    names = ("still", "moving")
    report = make_report(names, reference, live, threshold=0.2)
    bins = ReferenceBins(names, reference)
    distances = dict(zip(names, bins.distances(bins.counts(live)).tolist(), strict=True))
    assert report.distances == pytest.approx(distances, abs=0.03)
    assert report.drifted_share == 0.5
    assert "moving" in report.html
    assert not re.search(r"""<(script|link|img)[^>]+(src|href)=["']?https?:""", report.html)


def test_a_feature_that_varies_by_rounding_alone_is_constant_in_the_report() -> None:
    """Evidently makes histograms of ten bins, for which there are not enough numbers between such values."""
    rng = np.random.default_rng(0)
    reference, live = rng.normal(size=(200, 3)), rng.normal(size=(50, 3))
    for rows in (reference, live):
        rows[:, 0] = 1000.0 + rng.choice([0.0, 1.2e-13], len(rows))
        rows[:, 1] = rng.choice([0.0, 5e-324], len(rows))
    live[:, 0] += 1.2e-13
    report = make_report(("near", "nothing", "moving"), reference, live, threshold=0.2)
    assert (report.distances["near"], report.distances["nothing"]) == (0, 0)


def test_a_report_that_cannot_be_made_says_why() -> None:
    with pytest.raises(ReportFailed, match="Error"):
        report_html(("one", "other"), np.zeros((5, 1)), np.zeros((5, 1)), 0.2)
