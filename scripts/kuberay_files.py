"""What of `kuberay/` is made from other files, so that nothing is written twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from features.config import known_workloads
from scripts.cluster_config import ClusterLayout, PlainDumper, cluster_serve_config

COMMAND = "raysonde render kuberay"
_BASE = ClusterLayout(workloads=None, routers=2)
# one node has to be enough
_MINIKUBE = ClusterLayout(workloads=("calories", "weather"), routers=1)
_SERVE_CONFIGS = {
    "base/serve-config.yaml": _BASE,
    "overlays/minikube/serve-config.yaml": _MINIKUBE,
}


def kuberay_files(repository: Path) -> dict[Path, str]:
    """Path and text of each rendered file."""
    text = (repository / "serve_config.yaml").read_text()
    known = known_workloads(repository / "configs" / "workloads")
    return {
        repository / "kuberay" / name: _patch(cluster_serve_config(text, known, layout))
        for name, layout in _SERVE_CONFIGS.items()
    }


def _patch(serve_config: str) -> str:
    """Of the RayService."""
    return _rendered(
        "serve_config.yaml",
        {
            "apiVersion": "ray.io/v1",
            "kind": "RayService",
            "metadata": {"name": "raysonde"},
            "spec": {"serveConfigV2": serve_config},
        },
    )


def _rendered(source: str, document: dict[str, Any]) -> str:
    body = yaml.dump(document, Dumper=PlainDumper, sort_keys=False, width=1000)
    return f"# Rendered from {source}: change that, then `{COMMAND}`.\n{body}"
