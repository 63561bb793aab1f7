"""`var/targets`: where Prometheus finds what a start serves; configs/prometheus/prometheus.yml reads it."""

from __future__ import annotations

import json
from pathlib import Path

_ALERTMANAGER = "127.0.0.1:9093"


def write_targets(folder: Path, api: str, haproxy: str | None, ray_discovery: Path) -> None:
    """Write the files of file-based service discovery. They stay when the system stops, so that it is missed.

    Args:
        folder: made if it is not there.
        api: HOST:PORT of the root application, which has `/metrics`.
        haproxy: HOST:PORT of HAProxy's metrics, if there is one.
        ray_discovery: the file that Ray keeps for its own exporters.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "raysonde.json", api)
    if haproxy is None:
        (folder / "haproxy.json").unlink(missing_ok=True)
    else:
        _write(folder / "haproxy.json", haproxy)
    link = folder / "ray.json"
    link.unlink(missing_ok=True)
    link.symlink_to(ray_discovery)
    # whoever runs it elsewhere says so there
    if not (folder / "alertmanager.json").exists():
        _write(folder / "alertmanager.json", _ALERTMANAGER)


def _write(path: Path, target: str) -> None:
    path.write_text(json.dumps([{"targets": [target]}]) + "\n")
