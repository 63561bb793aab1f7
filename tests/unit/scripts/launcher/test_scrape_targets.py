"""What a start tells Prometheus."""

from __future__ import annotations

import json
import os
from pathlib import Path

import yaml

from scripts.launcher.scrape_targets import write_targets
from training.runtime.settings import REPOSITORY, Settings


def targets(folder: Path) -> dict[str, list[str]]:
    return {file.stem: json.loads(file.read_text())[0]["targets"] for file in folder.glob("*.json")}


def test_a_start_overwrites_the_targets_of_the_one_before(tmp_path: Path) -> None:
    for session, haproxy in (("one", "127.0.0.1:9101"), ("two", None)):
        ray = tmp_path / session / "discovery.json"
        ray.parent.mkdir()
        ray.write_text(json.dumps([{"labels": {"job": "ray"}, "targets": [session]}]))
        write_targets(tmp_path / "targets", f"127.0.0.1:{8000 + len(session)}", haproxy, ray)
        found = targets(tmp_path / "targets")
        assert found.pop("haproxy", [None]) == [haproxy]
        assert found == {"raysonde": ["127.0.0.1:8003"], "ray": [session], "alertmanager": ["127.0.0.1:9093"]}


def test_an_alertmanager_elsewhere_is_kept(tmp_path: Path) -> None:
    (tmp_path / "alertmanager.json").write_text('[{"targets": ["alerts:9093"]}]')
    ray = tmp_path / "session" / "discovery.json"
    ray.parent.mkdir()
    ray.write_text('[{"targets": []}]')
    write_targets(tmp_path, "127.0.0.1:8000", None, ray)
    assert targets(tmp_path)["alertmanager"] == ["alerts:9093"]


def test_prometheus_reads_them_where_the_repository_has_its_state() -> None:
    file = REPOSITORY / "configs" / "prometheus" / "prometheus.yml"
    settings = Settings(REPOSITORY / "var", Path(), "", "")
    config = yaml.safe_load(file.read_text())
    (alertmanager,) = config["alerting"]["alertmanagers"]
    named = [
        Path(os.path.normpath(file.parent / path))  # a system that has run here left links
        for job in (*config["scrape_configs"], alertmanager)
        for discovery in job["file_sd_configs"]
        for path in discovery["files"]
    ]
    assert sorted(named) == sorted(
        settings.targets / f"{name}.json" for name in ("raysonde", "ray", "haproxy", "alertmanager")
    )
    key = config["scrape_configs"][0]["authorization"]["credentials_file"]
    assert (file.parent / key).resolve() == settings.api_key_file
