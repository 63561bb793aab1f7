"""A Monitor over a real store and real bundles: what it tells, and what it knows after it was killed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.domain.routing import ArmVersion
from deployments.monitoring.view import MonitorPage
from deployments.store import StoreUnavailable
from deployments.store.monitor_feed import DriftEvent
from features.config import load_sections
from tests.support.monitored import ARM, MonitoredScene
from tests.support.tables import calories_parts
from training.runtime.bundle import write_bundle
from training.runtime.errors import BundleError
from training.runtime.settings import REPOSITORY


@pytest.fixture
def scene(tmp_path: Path, store_url: str) -> Iterator[MonitoredScene]:
    scene = MonitoredScene(tmp_path, store_url)
    yield scene
    scene.close()


@pytest.fixture
def file_scene(tmp_path: Path) -> Iterator[MonitoredScene]:
    """On SQLite alone: for what the kind of database has no part in."""
    scene = MonitoredScene(tmp_path)
    yield scene
    scene.close()


@pytest.fixture(autouse=True)
def _no_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take seconds, and have a test of their own."""
    monkeypatch.setattr("deployments.monitoring.poller.MonitorLoop._write_report", lambda *_: None)


def page(scene: MonitoredScene) -> MonitorPage:
    seen = scene.feed.page(scene.workload)
    assert seen is not None
    return MonitorPage.model_validate(seen.page)


def stored_levels(scene: MonitoredScene) -> dict[str, tuple[str, float]]:
    """Bundle and level by arm, as router replicas read them."""
    return {one.arm: (one.bundle, one.level) for one in scene.feed.levels(scene.workload)}


def test_calm_traffic_is_shown_and_gives_no_event(file_scene: MonitoredScene) -> None:
    assert file_scene.observe(file_scene.monitor(), 180) == []
    found = page(file_scene)
    arm = found.windows["300_s"].arms[ARM]
    assert (arm.predictions, arm.truths, found.up_to_date) == (3600, 3600, True)
    assert arm.metrics["coverage"] == pytest.approx(0.9, abs=0.02)
    assert set(arm.metrics) == {"mae", "rmse", "rmsle", "coverage", "nominal_coverage", "mean_width"}
    states = {(one.kind, one.subject): one.state for one in found.drift}
    assert states["input", ""] == states["concept", ARM] == states["calibration", ARM] == "ok"
    assert states["quality", ""] == "insufficient_data"  # no field of this table may be missing
    assert found.levels[ARM].level == pytest.approx(0.9, abs=0.05)
    assert found.levels[ARM].truths == 3600


def test_heavier_people_are_an_event_that_ends_with_them(file_scene: MonitoredScene) -> None:
    monitor = file_scene.monitor()
    assert file_scene.observe(monitor, 90) == []
    (began,) = file_scene.observe(monitor, 60, heavier_kg=20.0)
    assert (began.kind, began.subject, began.state) == ("input", "", "drifting")
    assert "weight_kg" in began.evidence["distances"]
    assert began.at <= file_scene.clock.now - timedelta(seconds=30)
    (ended,) = file_scene.observe(monitor, 360)
    assert (ended.kind, ended.state) == ("input", "ok")
    assert [event.state for event in file_scene.feed.events(file_scene.workload)] == ["drifting", "ok"]


def of_input(events: list[DriftEvent]) -> list[DriftEvent]:
    return [event for event in events if event.kind == "input"]


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_one_instance_again_and_again_is_no_drift_and_hides_none(
    file_scene: MonitoredScene, share: float
) -> None:
    monitor = file_scene.monitor()
    assert file_scene.observe(monitor, 90) == []
    # errors about that one person may be larger than others
    assert of_input(file_scene.observe(monitor, 180, repeated=share)) == []
    (began,) = of_input(file_scene.observe(monitor, 300, repeated=share, heavier_kg=20.0))
    assert began.state == "drifting"
    assert "weight_kg" in began.evidence["distances"]


def test_larger_errors_are_drift_of_concept_and_calibration(file_scene: MonitoredScene) -> None:
    monitor = file_scene.monitor()
    assert file_scene.observe(monitor, 120) == []
    events = file_scene.observe(monitor, 60, error=2.5)
    assert {(event.kind, event.subject, event.state) for event in events} == {
        ("concept", ARM, "drifting"),
        ("calibration", ARM, "drifting"),
    }
    assert max(event.at for event in events) <= file_scene.clock.now - timedelta(seconds=30)
    level = page(file_scene).levels[ARM].level
    assert level > 0.95
    assert stored_levels(file_scene)[ARM] == (file_scene.system.versions[ARM].bundle, level)


def test_a_monitor_that_is_killed_in_a_drift_goes_on_as_if_it_had_not_been(scene: MonitoredScene) -> None:
    """It has written the event."""
    assert_goes_on(scene, 130)


@pytest.mark.parametrize("killed_after_s", [20, 100])
def test_a_monitor_that_is_killed_goes_on_as_if_it_had_not_been(
    file_scene: MonitoredScene, killed_after_s: int
) -> None:
    """Killed while it learns, and while all is calm."""
    assert_goes_on(file_scene, killed_after_s)


def assert_goes_on(scene: MonitoredScene, killed_after_s: int) -> None:
    monitor, events = scene.monitor(), []
    for second in range(0, 200, 5):
        if second == killed_after_s:
            scene.traffic(10, error=3.0 if second > 100 else 1.0)  # nobody looks
            monitor = scene.monitor()
        events += scene.observe(monitor, 5, error=3.0 if second >= 110 else 1.0)
    stored = scene.feed.events(scene.workload)
    assert sorted((event.kind, event.state) for event in stored) == [
        ("calibration", "drifting"),
        ("concept", "drifting"),
    ]
    before, levels = page(scene), stored_levels(scene)
    scene.monitor().poll()
    after = page(scene)
    assert stored_levels(scene) == levels
    assert after.windows == before.windows
    assert after.levels == before.levels
    assert [(one.kind, one.state, one.since) for one in after.drift] == [
        (one.kind, one.state, one.since) for one in before.drift
    ]


def test_one_that_is_killed_while_it_reads_back_learns_no_truth_twice(
    scene: MonitoredScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.observe(scene.monitor(), 60)
    before = page(scene)
    with monkeypatch.context() as patch:
        patch.setattr("deployments.monitoring.poller.PAGE_ROWS", 100)
        patch.setattr("deployments.monitoring.poller.PAGES_PER_POLL", 1)
        scene.clock.forward(5)
        scene.monitor().poll()  # it has read 100 rows of 1200 when it is killed
        assert not page(scene).up_to_date
    scene.clock.forward(5)
    scene.monitor().poll()
    after = page(scene)
    assert (after.up_to_date, after.levels) == (True, before.levels)
    assert after.levels[ARM].truths == 1200
    assert stored_levels(scene)[ARM][1] == before.levels[ARM].level


def test_a_new_version_of_an_arm_begins_anew(scene: MonitoredScene, tmp_path: Path) -> None:
    monitor = scene.monitor()
    scene.observe(monitor, 60)
    bundle = write_bundle(calories_parts(ARM, 5), tmp_path / "new")
    version = ArmVersion(model_version="2", bundle=bundle, source=str(tmp_path / "new"))
    scene.store.put_arm(scene.workload, ARM, version)
    scene.observe(monitor, 10)  # the truths are of the old bundle
    assert page(scene).levels[ARM].truths == 0
    assert stored_levels(scene)[ARM] == (bundle, 0.9)


def test_a_workload_may_have_its_regions_left_at_the_nominal_level(
    scene: MonitoredScene, tmp_path: Path
) -> None:
    scene.observe(scene.monitor(), 5)
    assert stored_levels(scene)
    sections = load_sections(REPOSITORY / "configs" / "workloads", scene.workload)
    sections["monitoring"] = {"serve_levels": False}
    (tmp_path / "workloads").mkdir()
    (tmp_path / "workloads" / f"{scene.workload}.yaml").write_text(yaml.safe_dump(sections))
    scene.observe(scene.monitor(tmp_path / "workloads"), 5, error=3.0)
    assert stored_levels(scene) == {}
    found = page(scene).levels[ARM]
    assert found.level > 0.9
    assert not found.served


def test_it_waits_for_a_routing_table_and_refuses_a_bundle_that_is_not_there(
    scene: MonitoredScene, tmp_path: Path
) -> None:
    monitor = scene.monitor()
    scene.traffic(5)
    gone = ArmVersion(model_version="2", bundle="sha256:00", source=str(tmp_path / "nowhere"))
    scene.store.put_arms(scene.workload, dict.fromkeys(scene.system.versions))
    assert monitor.poll() == []
    assert scene.feed.page(scene.workload) is None
    scene.store.put_arm(scene.workload, ARM, gone)
    with pytest.raises((OSError, BundleError)):
        monitor.poll()
    scene.store.put_arms(scene.workload, scene.system.versions)
    monitor.poll()
    assert page(scene).windows["300_s"].arms[ARM].predictions == 100


def test_an_event_that_could_not_be_written_is_written_later(
    scene: MonitoredScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor = scene.monitor()
    scene.observe(monitor, 60)

    def away(*_: Any) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr("deployments.store.monitor_feed.MonitorFeed.write", away)
        for _ in range(10):
            scene.traffic(5, heavier_kg=20.0)
            with pytest.raises(StoreUnavailable):
                monitor.poll()
    (event,) = scene.observe(monitor, 5, heavier_kg=20.0)
    assert (event.kind, event.state) == ("input", "drifting")
    assert event.at < scene.clock.now - timedelta(seconds=10)
    assert [event.kind for event in scene.feed.events(scene.workload)] == ["input"]


def test_rows_that_were_taken_in_part_are_not_counted_twice(
    scene: MonitoredScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor = scene.monitor()
    scene.observe(monitor, 10)
    scene.traffic(5)

    def fail(*_: Any) -> None:
        raise RuntimeError("a fault")

    with monkeypatch.context() as patch:
        patch.setattr("deployments.monitoring.workload_monitor.WorkloadMonitor.add_truths", fail)
        with pytest.raises(RuntimeError, match="a fault"):
            monitor.poll()
    scene.observe(monitor, 5)
    arm = page(scene).windows["300_s"].arms[ARM]
    assert (arm.predictions, arm.truths) == (400, 400)
