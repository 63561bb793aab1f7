"""raysonde as a contender: a folder with state of its own, one workload, one arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from features.config import load_sections
from scripts.launcher.preflight import free_port
from training.runtime.settings import Settings

WORKLOAD = "bench"
WORKLOADS = Path(__file__).parent / "workload"
# free ports are looked for from here, away from those of a system that the user runs
_DASHBOARD_PORT = 8365


def lay_out(folder: Path, arm: str, bundle: Path) -> None:
    """Write a workload that routes everything to `arm`, and a registry whose champion is `bundle`."""
    lay_out_arms(folder, [bundle], {"weights": {arm: 1.0}, "fallback": [arm]})


def lay_out_arms(folder: Path, bundles: Sequence[Path], routing: Mapping[str, Any]) -> None:
    """Write a workload with this routing, and a registry whose champions are the bundles."""
    sections = load_sections(WORKLOADS, WORKLOAD)
    sections["routing"] = dict(routing)
    workloads = folder / "workloads"
    workloads.mkdir(parents=True)
    (workloads / f"{WORKLOAD}.yaml").write_text(yaml.safe_dump(sections, sort_keys=False))
    _register(_settings(folder), bundles)


def command(
    python: Path, folder: Path, port: int, profile: str, dashboard_port: int | None = None
) -> list[str]:
    """`raysonde up`, as a user would start it; Ray's dashboard at a free port unless told."""
    dashboard_port = dashboard_port or free_port(_DASHBOARD_PORT)
    ports = ("--port", str(port), "--dashboard-port", str(dashboard_port))
    what = ("--workloads-dir", str(folder / "workloads"), "--workloads", WORKLOAD, "--profile", profile)
    return [str(python), "-m", "scripts", "up", *ports, *what]


def environment(folder: Path, key: str) -> dict[str, str]:
    """Return the environment of the command."""
    return {"RAYSONDE_VAR": str(folder / "var"), "RAYSONDE_API_KEY": key}


def _settings(folder: Path) -> Settings:
    var = folder / "var"
    return Settings(
        var=var,
        workloads=folder / "workloads",
        registry_uri=f"sqlite:///{var}/mlflow/mlflow.db",
        store_url=f"sqlite:///{var}/store.db",
    )


def _register(settings: Settings, bundles: Sequence[Path]) -> None:
    # MLflow takes seconds to import
    from training.registry.models import Registry

    registry = Registry(settings)
    for bundle in bundles:
        run = registry.client.create_run(registry.experiment(WORKLOAD))
        version = registry.register(bundle, run.info.run_id)
        registry.client.set_terminated(run.info.run_id)
        registry.set_champion(version)
