"""What pods may do, what they take, who reaches them, and that upgrades have the time that they need."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.launcher.node_environment import node_environment
from tests.support.manifests import (
    KUBERAY,
    Manifest,
    Objects,
    PodTemplate,
    cluster_of,
    kustomized,
    of_kind,
    overlay,
    pod_templates,
)
from training.runtime.settings import REPOSITORY

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
OURS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]


def group(objects: Objects, name: str) -> Manifest:
    (found,) = (one for one in cluster_of(objects)["workerGroupSpecs"] if one["groupName"] == name)
    return dict(found)


def environment_of(objects: Objects) -> dict[str, str]:
    (data,) = (one["data"] for one in of_kind(objects, "ConfigMap") if "RAYSONDE_SERVED" in one["data"])
    return dict(data)


def test_nobody_is_root_or_may_become_it(objects: Objects) -> None:
    for template in pod_templates(objects):
        context = template.spec["securityContext"]
        assert context["runAsNonRoot"] is True, template.owner
        assert context["runAsUser"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert template.spec["automountServiceAccountToken"] is False, template.owner
        for container in template.containers:
            assert container["securityContext"] == RESTRICTED, f"{template.owner}: {container['name']}"
    assert cluster_of(objects)["autoscalerOptions"]["securityContext"] == RESTRICTED


def test_all_is_bounded(objects: Objects) -> None:
    bounded = [(t.owner, c["resources"]) for t in pod_templates(objects) for c in t.containers]
    bounded.append(("autoscaler", cluster_of(objects)["autoscalerOptions"]["resources"]))
    for owner, resources in bounded:
        assert {"cpu", "memory"} <= resources["requests"].keys(), owner
        assert {"cpu", "memory"} <= resources["limits"].keys(), owner
    for volumes in (template.spec.get("volumes", ()) for template in pod_templates(objects)):
        assert all("sizeLimit" in one["emptyDir"] for one in volumes if "emptyDir" in one)


def test_images_have_versions(objects: Objects) -> None:
    for template in pod_templates(objects):
        for container in template.containers:
            name, _, tag = container["image"].rpartition(":")
            assert name, container["image"]
            assert re.fullmatch(r"\d+(\.\d+)+", tag), container["image"]
            assert not name.endswith("/raysonde") or tag == OURS
    versions = {cluster_of(objects)["rayVersion"]}
    versions |= {one["spec"]["rayClusterSpec"]["rayVersion"] for one in of_kind(objects, "RayJob")}
    assert versions == {version("ray")}


def test_containers_of_ours_have_somewhere_to_write(objects: Objects) -> None:
    for template in pod_templates(objects):
        for container in template.containers:
            if "/raysonde:" in container["image"]:
                assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}, template.owner


def test_replicas_find_places_and_routers_nodes(objects: Objects) -> None:
    (service,) = of_kind(objects, "RayService")
    config = yaml.safe_load(service["spec"]["serveConfigV2"])
    serving = group(objects, "serving")
    places = int(serving["resources"]["serving"])
    fewest = most = 0
    for part in (part for app in config["applications"] for part in app["deployments"]):
        scaling = part.get("autoscaling_config", {})
        each = part["ray_actor_options"]["resources"]["serving"]
        fewest += each * scaling.get("min_replicas", part.get("num_replicas"))
        most += each * scaling.get("max_replicas", part.get("num_replicas"))
        assert part.get("num_replicas", 1) <= serving["minReplicas"]
    assert fewest <= places * serving["minReplicas"]
    assert most <= places * serving["maxReplicas"]


def test_trials_and_replicas_never_share_a_node(objects: Objects) -> None:
    assert group(objects, "serving")["resources"]["CPU"] == "0"
    assert cluster_of(objects)["headGroupSpec"]["resources"]["CPU"] == "0"
    training = group(objects, "training")
    assert "serving" not in training["resources"]
    assert int(training["resources"][environment_of(objects)["RAYSONDE_TRAINING_RESOURCE"]]) >= 1
    # more than one would not see each other's files
    assert (training["minReplicas"], training["maxReplicas"]) == (0, 1)


def test_whoever_ends_has_the_time_for_what_it_has_begun(objects: Objects) -> None:
    environment, serving = environment_of(objects), group(objects, "serving")["template"]["spec"]
    draining = int(environment["RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"])
    hard_stop = int(environment["RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S"])
    notice = serving["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert serving["terminationGracePeriodSeconds"] >= notice + draining + hard_stop
    (service,) = of_kind(objects, "RayService")
    assert service["spec"]["upgradeStrategy"] == {"type": "NewCluster"}
    assert service["spec"]["rayClusterDeletionDelaySeconds"] >= draining + hard_stop


def test_the_environment_says_otherwise_only_what_a_cluster_has_otherwise() -> None:
    image = node_environment({}, binary=lambda: "")
    there = environment_of(overlay("production"))
    assert image.keys() & there.keys() == {"RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"}
    assert there["RAYSONDE_HAPROXY_METRICS_HOST"] == "*"
    assert there["RAYSONDE_HAPROXY_REQUEST_LINES"] == "1"


def test_a_gpu_is_for_trainings(tmp_path: Path) -> None:
    path = Path("../" * (len(tmp_path.resolve().parents))) / str(KUBERAY).lstrip("/")
    lines = [f"resources: [{path}/overlays/production]", f"components: [{path}/components/gpu]"]
    (tmp_path / "kustomization.yaml").write_text("\n".join(lines))
    objects = kustomized(tmp_path)
    training = group(objects, "training")
    assert training["resources"]["GPU"] == "1"
    assert training["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "nvidia" not in str(group(objects, "serving"))


HEAD, SERVING, MLFLOW, POSTGRES, REDIS = "head", "serving", "mlflow", "postgres", "redis"
INGRESS, OPERATOR, PROMETHEUS, STRANGER = "ingress", "operator", "prometheus", "stranger"
OUTSIDE: dict[str, tuple[str, dict[str, str]]] = {
    INGRESS: ("ingress-nginx", {"app.kubernetes.io/name": "ingress-nginx"}),
    OPERATOR: ("kuberay-system", {"app.kubernetes.io/name": "kuberay-operator"}),
    PROMETHEUS: ("monitoring", {"app.kubernetes.io/name": "prometheus"}),
    STRANGER: ("raysonde", {"app": "stranger"}),
}


@pytest.mark.parametrize(
    ("port", "target", "may"),
    [
        (
            8000,
            SERVING,
            {INGRESS, OPERATOR, PROMETHEUS, HEAD, SERVING, "training", "bootstrap", "routine-check"},
        ),
        (30000, SERVING, {HEAD, SERVING, "training", "bootstrap"}),
        (8500, SERVING, {HEAD, SERVING, "training", "bootstrap"}),
        (9101, SERVING, {PROMETHEUS, HEAD, SERVING, "training", "bootstrap"}),
        (8080, HEAD, {PROMETHEUS, HEAD, SERVING, "training", "bootstrap"}),
        (8404, SERVING, set()),
        (8265, HEAD, {OPERATOR, HEAD, SERVING, "training", "bootstrap"}),
        (6379, HEAD, {HEAD, SERVING, "training", "bootstrap"}),
        (10001, HEAD, {HEAD, SERVING, "training", "bootstrap"}),
        (5432, POSTGRES, {MLFLOW, HEAD, SERVING, "training", "bootstrap"}),
        (5000, MLFLOW, {HEAD, SERVING, "training", "bootstrap"}),
        (6379, REDIS, {HEAD}),
    ],
)
def test_ports_are_closed_but_for_who_needs_them(
    objects: Objects, port: int, target: str, may: set[str]
) -> None:
    pods = {one.labels["app.kubernetes.io/component"]: one for one in pod_templates(objects)}
    peers = OUTSIDE | {name: ("raysonde", dict(one.labels)) for name, one in pods.items()}
    assert {name for name, peer in peers.items() if reaches(objects, peer, pods[target], port)} == may


def reaches(objects: Objects, peer: tuple[str, dict[str, str]], pod: PodTemplate, port: int) -> bool:
    """As Kubernetes judges: closed by any policy that selects the pod, opened by any rule of them."""
    policies = [
        one["spec"]
        for one in of_kind(objects, "NetworkPolicy")
        if one["spec"]["podSelector"].get("matchLabels", {}).items() <= pod.labels.items()
    ]
    assert policies
    rules = [rule for policy in policies for rule in policy.get("ingress", ())]
    return any(
        any(_is(peer, one) for one in rule["from"])
        and any(one["port"] <= port <= one.get("endPort", one["port"]) for one in rule["ports"])
        for rule in rules
    )


def _is(peer: tuple[str, dict[str, str]], allowed: dict[str, Any]) -> bool:
    namespace, labels = peer
    if "namespaceSelector" in allowed:
        wanted = allowed["namespaceSelector"].get("matchLabels", {})
        in_namespace = wanted.items() <= {"kubernetes.io/metadata.name": namespace}.items()
    else:
        in_namespace = namespace == "raysonde"
    selected: dict[str, str] = allowed.get("podSelector", {}).get("matchLabels", {})
    return in_namespace and set(selected.items()) <= set(labels.items())
