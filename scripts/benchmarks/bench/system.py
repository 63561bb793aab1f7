"""raysonde started to be measured by itself: the benchmark's workload, and what Ray tells of its replicas."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from scripts.benchmarks.bench import raysonde
from scripts.benchmarks.bench.contender import CONTENDERS, Contender, Launch, Site
from scripts.benchmarks.bench.models import revision

_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Replica:
    """A replica, as Serve's controller reports it."""

    state: str
    node: str

    @property
    def runs(self) -> bool:
        """Return whether the replica takes requests."""
        return self.state == "RUNNING"


Replicas = Mapping[str, Sequence[Replica]]


@dataclass(frozen=True)
class Dashboard:
    """Ray's dashboard of a system, and the file of its token."""

    url: str
    token_file: Path

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers of every request; the key's file is there when the system is."""
        return {"Authorization": f"Bearer {self.token_file.read_text().strip()}"}

    @property
    def applications_url(self) -> str:
        """Return the URL of Serve's report on its applications."""
        return f"{self.url}/api/serve/applications/"

    def replicas(self) -> Replicas:
        """Return the replicas of the workload, by deployment.

        Raises:
            httpx.HTTPError: no answer.
        """
        answer = httpx.get(self.applications_url, headers=self.headers, timeout=_TIMEOUT_S)
        return count_replicas(answer.raise_for_status().json())


def count_replicas(serve_details: Mapping[str, Any]) -> Replicas:
    """Count the replicas of the benchmark's workload in an answer of `GET /api/serve/applications/`."""
    application = serve_details.get("applications", {}).get(raysonde.WORKLOAD, {})
    return {
        name: tuple(Replica(one["state"], one.get("node_id") or "") for one in deployment.get("replicas", ()))
        for name, deployment in application.get("deployments", {}).items()
    }


def own_site(folder: Path, name: str, arm: str, port: int) -> Site:
    """Make an empty folder for a start; the models lie beside it, see `scripts.benchmarks.bench.models`."""
    home = folder / "runs" / name
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    programs = Path(sys.executable)
    return Site(arm, models_folder(folder), home, port, programs, programs.parent)


def models_folder(folder: Path) -> Path:
    """Return the folder of the benchmark's models."""
    return folder / f"models-{revision()}"


def own_system(
    site: Site, dashboard_port: int, profile: str = "fast", serve_config: str | None = None
) -> tuple[Contender, Dashboard]:
    """raysonde as the benchmark starts it, with a dashboard that can be found.

    Args:
        serve_config: text of the Serve config to start from; None: the repository's.
    """
    usual = next(one for one in CONTENDERS if one.name == f"raysonde-{profile}")

    def launch(site: Site) -> Launch:
        raysonde.lay_out(site.folder, site.arm, site.models / site.arm / "bundle")
        command = raysonde.command(site.python, site.folder, site.port, profile, dashboard_port)
        if serve_config is not None:
            path = site.folder / "serve_config.yaml"
            path.write_text(serve_config)
            command += ["--config", str(path)]
        return Launch(command, raysonde.environment(site.folder, site.key))

    dashboard = Dashboard(f"http://127.0.0.1:{dashboard_port}", site.folder / "var" / "ray-token")
    return replace(usual, launch=launch), dashboard
