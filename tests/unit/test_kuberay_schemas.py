"""Every object of kuberay/ is one that Kubernetes, or KubeRay, takes, with no field that it would drop."""

from __future__ import annotations

from copy import deepcopy
from functools import lru_cache
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.support.manifests import KUBERAY, OVERLAYS, Manifest, kustomized, overlay, pod_templates
from training.settings import REPOSITORY

KUBERNETES = "1.32"
CRDS = REPOSITORY.parent / "shared" / "kuberay-crds"
RAY = {"RayService": "rayservices", "RayJob": "rayjobs", "RayCluster": "rayclusters"}
# of the Prometheus operator, whose schemas are not here
UNKNOWN = {"PodMonitor", "ScrapeConfig", "PrometheusRule"}


@lru_cache
def crd(kind: str) -> Manifest:
    """The schema of v1, closed: Kubernetes would drop what it does not know, without a word."""
    path = CRDS / f"ray.io_{RAY[kind]}.yaml"
    if not path.is_file():
        pytest.skip(f"no {path}: the CRDs of KubeRay are not part of the repository")
    versions = yaml.load(path.read_text(), yaml.CSafeLoader)["spec"]["versions"]  # 10,000 lines
    (schema,) = (one["schema"]["openAPIV3Schema"] for one in versions if one["name"] == "v1")
    schema["properties"]["metadata"] = {"type": "object"}
    closed = _closed(schema)
    assert isinstance(closed, dict)
    return closed


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        found.setdefault("additionalProperties", False)
    return found


def check(one: Manifest) -> None:
    if one["kind"] in RAY:
        jsonschema.validate(one, crd(one["kind"]))
    elif one["kind"] not in UNKNOWN:
        kubernetes_validate.validate(one, KUBERNETES, strict=True)


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_object_fits_its_schema(name: str) -> None:
    objects = overlay(name)
    for one in objects:
        check(one)
    assert {"RayService", "RayJob", "CronJob", "StatefulSet", "Ingress", "NetworkPolicy"} <= {
        one["kind"] for one in objects
    }


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_clusters_that_come_of_them_are_clusters(name: str) -> None:
    specs = [one["spec"] for one in overlay(name) if one["kind"] in ("RayService", "RayJob")]
    for spec in specs:
        cluster = spec.get("rayClusterConfig") or spec["rayClusterSpec"]
        check(
            {"apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": {"name": "of-it"}, "spec": cluster}
        )
    assert len(specs) == 2


@pytest.mark.parametrize("name", OVERLAYS)
def test_pods_of_ray_are_pods(name: str) -> None:
    for template in pod_templates(overlay(name)):
        metadata = {"name": "pod", "labels": dict(template.labels)}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": dict(template.spec)}
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)


def test_monitoring_can_be_applied_alone() -> None:
    kinds = [one["kind"] for one in kustomized(KUBERAY / "monitoring")]
    assert set(kinds) >= UNKNOWN


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "rayClusterConfig", "enableInTreeAutoscalling"), True),
        (("spec", "rayClusterConfig", "autoscalerOptions", "upscalingMode"), "Fast"),
        (("spec", "rayClusterConfig", "headGroupSpec", "rayStartParams", "num-cpus"), 0),
        (("spec", "rayClusterConfig", "headGroupSpec", "template", "spec", "containers", 0, "envfrom"), []),
    ],
)
def test_mistakes_are_found(path: tuple[str | int, ...], value: Any) -> None:
    (service,) = (deepcopy(one) for one in overlay("minikube") if one["kind"] == "RayService")
    check(service)
    place: Any = service
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        check(service)
