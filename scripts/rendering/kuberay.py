"""The files of `kuberay/` that are made from others, so that nothing is written twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from features.config import known_workloads
from scripts.rendering.cluster_config import ClusterLayout, PlainDumper, cluster_serve_config

COMMAND = "raysonde render kuberay"
_SERVE_CONFIGS = {
    "base/serve-config.yaml": ClusterLayout(workloads=None, replicas=2),
    # one node has to be enough
    "overlays/minikube/serve-config.yaml": ClusterLayout(workloads=("calories", "weather"), replicas=1),
}
_RULES = "configs/prometheus/rules"
_DASHBOARDS = "configs/grafana/dashboards"
_KUSTOMIZATION = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}


def kuberay_files(repository: Path) -> dict[Path, str]:
    """Path and text of each rendered file."""
    text = (repository / "serve_config.yaml").read_text()
    known = known_workloads(repository / "configs" / "workloads")
    files = {
        repository / "kuberay" / name: _patch(cluster_serve_config(text, known, layout))
        for name, layout in _SERVE_CONFIGS.items()
    }
    files[repository / "kuberay" / "monitoring" / "rules.yaml"] = _rules(repository / _RULES)
    # kustomize reads no file outside of its own folder, but it does read other folders of its kind
    files[repository / _DASHBOARDS / "kustomization.yaml"] = _dashboards(repository / _DASHBOARDS)
    return files


def _patch(serve_config: str) -> str:
    """Return the patch of the RayService."""
    return _rendered(
        "serve_config.yaml",
        {
            "apiVersion": "ray.io/v1",
            "kind": "RayService",
            "metadata": {"name": "raysonde"},
            "spec": {"serveConfigV2": serve_config},
        },
    )


def _rules(folder: Path) -> str:
    """Return the rules of all files, for the Prometheus operator."""
    paths = sorted(folder.glob("*.yml"))
    groups = [group for path in paths for group in yaml.safe_load(path.read_text()).get("groups") or ()]
    return _rendered(
        _RULES,
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": "raysonde"},
            "spec": {"groups": groups},
        },
    )


def _dashboards(folder: Path) -> str:
    """Return a ConfigMap a dashboard, as Grafana's sidecar expects; one for all could be too large."""
    maps = [
        {"name": f"raysonde-dashboard-{path.stem}".replace("_", "-"), "files": [path.name]}
        for path in sorted(folder.glob("*.json"))
    ]
    options = {"labels": {"grafana_dashboard": "1"}, "disableNameSuffixHash": True}
    made = {"generatorOptions": options, "configMapGenerator": maps}
    return _rendered("this folder", _KUSTOMIZATION | made)


def _rendered(source: str, document: dict[str, Any]) -> str:
    body = yaml.dump(document, Dumper=PlainDumper, sort_keys=False, width=1000)
    return f"# Rendered from {source}: change that, then `{COMMAND}`.\n{body}"
