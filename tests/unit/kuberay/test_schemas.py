"""Every object of kuberay/ is one that Kubernetes, KubeRay or the Prometheus operator takes, whole.

A field that they do not know they would drop without a word.
"""

from __future__ import annotations

from copy import deepcopy
from functools import lru_cache
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator
from kubernetes_validate import SchemaNotFoundError

from tests.support.manifests import KUBERAY, OVERLAYS, Manifest, kustomized, overlay, pod_templates
from tests.support.recorded import recorded_file

KUBERNETES = "1.32"
RAY = {"RayService": "rayservices", "RayJob": "rayjobs", "RayCluster": "rayclusters"}


@lru_cache
def of_ray(kind: str) -> Draft202012Validator:
    """By the schema of v1, closed."""
    path = recorded_file("kuberay-crds", f"ray.io_{RAY[kind]}.yaml")
    versions = yaml.load(path.read_text(), yaml.CSafeLoader)["spec"]["versions"]  # 10,000 lines
    (schema,) = (one["schema"]["openAPIV3Schema"] for one in versions if one["name"] == "v1")
    return validator(schema)


@lru_cache
def of_prometheus_operator(version: str, kind: str) -> Draft202012Validator:
    """By the schema of the same, from models that are made of its CRDs."""
    # a second to import
    from cloudcoil.models.prometheus_operator import v1, v1alpha1

    model = getattr({"v1": v1, "v1alpha1": v1alpha1}[version], kind)
    return validator(model.model_json_schema(by_alias=True))


def validator(schema: Manifest) -> Draft202012Validator:
    """By the schema of an object, that takes no field which it does not name."""
    schema["properties"]["metadata"] = {"type": "object"}
    # not checked itself, which takes a second: it is published, and the mistakes below are found by it
    return Draft202012Validator(_closed(schema))


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _closed(value) for key, value in schema.items()}
    if isinstance(found.get("pattern"), str):
        # of Go, where flags may come second
        found["pattern"] = found["pattern"].replace("^(?i)", "(?i)^")
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        found.setdefault("additionalProperties", False)
    return found


def check(one: Manifest) -> None:
    group, _, version = one["apiVersion"].rpartition("/")
    if group == "ray.io":
        of_ray(one["kind"]).validate(one)
    elif group == "monitoring.coreos.com":
        of_prometheus_operator(version, one["kind"]).validate(one)
    else:
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
    objects = kustomized(KUBERAY / "monitoring")
    for one in objects:
        check(one)
    assert {one["kind"] for one in objects} == {"ConfigMap", "PodMonitor", "PrometheusRule", "ScrapeConfig"}


@pytest.mark.parametrize(
    ("version", "kind", "error"),
    [
        ("cert-manager.io/v1", "Certificate", SchemaNotFoundError),
        ("monitoring.coreos.com/v1", "PodMonitors", AttributeError),
        ("monitoring.coreos.com/v1", "ScrapeConfig", AttributeError),
    ],
)
def test_an_object_without_a_schema_is_no_pass(version: str, kind: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        check({"apiVersion": version, "kind": kind, "metadata": {"name": "new"}, "spec": {}})


CLUSTER = ("RayService", "spec", "rayClusterConfig")
ENDPOINT = ("PodMonitor", "spec", "podMetricsEndpoints", 0)
RULE = ("PrometheusRule", "spec", "groups", 0, "rules", 0)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((*CLUSTER, "enableInTreeAutoscalling"), True),
        ((*CLUSTER, "autoscalerOptions", "upscalingMode"), "Fast"),
        ((*CLUSTER, "headGroupSpec", "rayStartParams", "num-cpus"), 0),
        ((*CLUSTER, "headGroupSpec", "template", "spec", "containers", 0, "envfrom"), []),
        ((*ENDPOINT, "scrapeInterval"), "10s"),
        ((*ENDPOINT, "interval"), 10),
        ((*ENDPOINT, "relabelings", 0, "action"), "rename"),
        ((*RULE, "severity"), "warning"),
        ((*RULE, "for"), "two minutes"),
        (("ScrapeConfig", "spec", "metricPath"), "/metrics"),
        (("ScrapeConfig", "spec", "staticConfigs", 0, "targets"), "raysonde-serve-svc:8000"),
    ],
    ids=lambda value: str(value[-1]) if isinstance(value, tuple) else "",
)
def test_mistakes_are_found(path: tuple[str | int, ...], value: Any) -> None:
    kind, *keys = path
    one = deepcopy(next(one for one in overlay("production") if one["kind"] == kind))
    check(one)
    place: Any = one
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        check(one)
