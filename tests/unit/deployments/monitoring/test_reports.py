"""When a report is made of the inputs, and of what."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.monitoring import poller
from deployments.monitoring.report_process import ReportFailed
from features.config import load_sections
from tests.support.monitored import MonitoredScene
from training.runtime.settings import REPOSITORY


class Reports:
    """What was asked for, in place of Evidently; `fail` is how many more of them cannot be made."""

    def __init__(self) -> None:
        self.made: list[tuple[tuple[str, ...], int, int, float]] = []
        self.fail = 0

    def __call__(self, names: tuple[str, ...], reference: Any, current: Any, threshold: float) -> str:
        self.made.append((names, len(reference), len(current), threshold))
        if self.fail:
            self.fail -= 1
            raise ReportFailed("no")
        return f"<html>{len(self.made)}</html>"


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> Reports:
    found = Reports()
    monkeypatch.setattr(poller, "report_html", found)
    return found


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MonitoredScene]:
    """Its bundles take longer to make than all the tests here."""
    scene = MonitoredScene(tmp_path_factory.mktemp("scene"))
    yield scene
    scene.close()


@pytest.fixture
def scene(shared: MonitoredScene) -> MonitoredScene:
    """At a whole hour, for which all that came before is too old."""
    shared.clock.now = shared.clock.now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=2)
    return shared


@pytest.fixture
def files(tmp_path: Path, scene: MonitoredScene) -> Path:
    """Evaluated every second; a report every minute, of twenty rows or more of the last twenty seconds."""
    sections = load_sections(REPOSITORY / "configs" / "workloads", scene.workload)
    sections["monitoring"] = {
        "check_period_s": 1.0,
        "report_period_s": 60.0,
        "windows_s": [300.0],
        "detection_windows_s": [10.0, 20.0],
        "input": {"min_rows": 20, "threshold": 0.5},
        "hysteresis": {"confirm": 1, "settle": 1},
    }
    folder = tmp_path / "workloads"
    folder.mkdir()
    (folder / f"{scene.workload}.yaml").write_text(yaml.safe_dump(sections))
    return folder


def test_a_report_is_made_of_the_rows_of_the_longest_window(
    scene: MonitoredScene, reports: Reports, files: Path
) -> None:
    scene.traffic(2)
    scene.clock.forward(15)
    scene.traffic(4)  # twenty of the first forty are within twenty seconds
    scene.monitor(files).poll()
    ((names, reference, current, threshold),) = reports.made
    assert names == scene.system.parts["mlp"].card.feature_names
    assert (reference, current, threshold) == (len(scene.system.parts["mlp"].reference.raw), 100, 0.5)
    assert scene.feed.report(scene.workload) == (scene.clock.now, "<html>1</html>")


def test_few_rows_make_no_report(scene: MonitoredScene, reports: Reports, files: Path) -> None:
    monitor = scene.monitor(files)
    scene.traffic(0.95)
    monitor.poll()
    assert reports.made == []
    scene.clock.forward(1)
    scene.traffic(0.05)
    monitor.poll()
    assert [current for *_, current, _ in reports.made] == [20]


def test_without_news_the_next_is_made_after_its_period_and_only_of_new_rows(
    scene: MonitoredScene, reports: Reports, files: Path
) -> None:
    monitor = scene.monitor(files)
    scene.traffic(2)
    monitor.poll()
    scene.clock.forward(57)
    scene.traffic(2)  # 59 s after the first
    monitor.poll()
    assert len(reports.made) == 1
    scene.clock.forward(1)
    monitor.poll()
    assert len(reports.made) == 2
    scene.clock.forward(300)
    monitor.poll()
    assert len(reports.made) == 2, "nothing has come since"


def test_a_change_of_the_inputs_is_reported_at_once(
    scene: MonitoredScene, reports: Reports, files: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monitor = scene.monitor(files)
    scene.traffic(10)
    assert monitor.poll() == []
    assert len(reports.made) == 1
    scene.traffic(10, heavier_kg=60.0)
    (event,) = (one for one in monitor.poll() if one.kind == "input")
    assert event.state == "drifting"
    assert len(reports.made) == 2
    (record,) = (one for one in caplog.records if vars(one).get("kind") == "input")
    assert (record.levelname, record.getMessage()) == ("WARNING", f"detector is drifting: {event.reason}")
    labels = {name: vars(record)[name] for name in ("workload", "subject", "state")}
    assert labels == {"workload": scene.workload, "subject": "", "state": "drifting"}
    scene.traffic(10, heavier_kg=60.0)
    monitor.poll()
    assert len(reports.made) == 2


def test_a_report_that_fails_holds_nothing_up_and_is_tried_again_after_its_period(
    scene: MonitoredScene, reports: Reports, files: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monitor, before = scene.monitor(files), scene.feed.report(scene.workload)
    reports.fail = 1
    scene.traffic(2)
    monitor.poll()
    assert "no drift report: no" in caplog.messages
    scene.traffic(2)
    monitor.poll()
    assert (len(reports.made), scene.feed.report(scene.workload)) == (1, before)
    scene.clock.forward(60)
    scene.traffic(2)
    monitor.poll()
    assert len(reports.made) == 2


def test_rows_are_read_page_by_page_and_so_many_pages_a_poll(
    scene: MonitoredScene, reports: Reports, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller, "PAGE_ROWS", 10)
    monkeypatch.setattr(poller, "PAGES_PER_POLL", 3)
    monitor = scene.monitor(files)
    scene.traffic(2)  # forty rows
    seen = []
    for _ in range(2):
        monitor.poll()
        found = scene.feed.page(scene.workload)
        assert found is not None
        arm = found.page["windows"]["300_s"]["arms"]["mlp"]
        seen.append((arm["predictions"], arm["truths"], found.page["up_to_date"], len(reports.made)))
        scene.clock.forward(1)
    assert seen == [(30, 30, False, 0), (40, 40, True, 1)]


def test_between_two_evaluations_rows_are_read_and_nothing_is_written(
    scene: MonitoredScene, reports: Reports, files: Path
) -> None:
    monitor = scene.monitor(files)
    scene.traffic(2)
    monitor.poll()
    first = scene.feed.page(scene.workload)
    scene.clock.forward(0.5)
    scene.clock.forward(0.49)
    monitor.poll()
    assert scene.feed.page(scene.workload) == first
    scene.clock.forward(0.01)
    monitor.poll()
    second = scene.feed.page(scene.workload)
    assert first is not None
    assert second is not None
    assert second.at == first.at + timedelta(seconds=1)
