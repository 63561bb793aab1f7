"""The manifests of kuberay/ as `kubectl kustomize` makes them, and the pods that come of them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from training.runtime.settings import REPOSITORY

KUBERAY = REPOSITORY / "kuberay"
OVERLAYS = ("minikube", "production")

Manifest = dict[str, Any]
Objects = tuple[Manifest, ...]


@dataclass(frozen=True)
class PodTemplate:
    """What a pod is made from.

    Attributes:
        owner: kind and name of the object, and the group of a Ray cluster.
        labels: of the pods.
        spec: of the pods.
        claims: volumes that a StatefulSet makes for each pod.
    """

    owner: str
    labels: Mapping[str, str]
    spec: Mapping[str, Any]
    claims: tuple[str, ...] = ()

    @property
    def containers(self) -> list[Manifest]:
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]


def overlay(name: str) -> Objects:
    """The objects of an overlay; the test is skipped where there is no kubectl."""
    return kustomized(KUBERAY / "overlays" / name)


@lru_cache
def kustomized(folder: Path) -> Objects:
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl here: it makes the manifests from kuberay/")
    made = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return tuple(one for one in yaml.load_all(made.stdout, yaml.CSafeLoader) if one)


def of_kind(objects: Objects, kind: str) -> list[Manifest]:
    return [one for one in objects if one["kind"] == kind]


def cluster_of(objects: Objects) -> Manifest:
    """The Ray cluster that the RayService makes."""
    (service,) = of_kind(objects, "RayService")
    cluster: Manifest = service["spec"]["rayClusterConfig"]
    return cluster


def the(objects: Objects, kind: str, name: str) -> Manifest:
    (found,) = (one for one in of_kind(objects, kind) if one["metadata"]["name"] == name)
    return found


def pod_templates(objects: Objects) -> Iterator[PodTemplate]:
    for one in objects:
        owner, spec = f"{one['kind']}/{one['metadata']['name']}", one.get("spec", {})
        if one["kind"] in ("Deployment", "StatefulSet"):
            claims = [claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", ())]
            yield _template(owner, spec["template"], *claims)
        elif one["kind"] == "CronJob":
            yield _template(owner, spec["jobTemplate"]["spec"]["template"])
        elif one["kind"] in ("RayService", "RayJob"):
            cluster = spec.get("rayClusterConfig") or spec["rayClusterSpec"]
            yield _template(f"{owner}/head", cluster["headGroupSpec"]["template"])
            for group in cluster.get("workerGroupSpecs", ()):
                yield _template(f"{owner}/{group['groupName']}", group["template"])


def _template(owner: str, template: Manifest, *claims: str) -> PodTemplate:
    return PodTemplate(owner, template["metadata"]["labels"], template["spec"], claims)
