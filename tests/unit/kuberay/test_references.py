"""What the objects of kuberay/ name is there, under that name: labels, ports, volumes, secrets, workloads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tests.support.manifests import (
    KUBERAY,
    Objects,
    PodTemplate,
    of_kind,
    pod_templates,
    the,
)

# in every namespace
GIVEN_CONFIG_MAPS = {"kube-root-ca.crt"}
# of cert-manager, or of minikube.sh
CERTIFICATE = "raysonde-tls"


def selected(objects: Objects, labels: Mapping[str, str]) -> list[PodTemplate]:
    return [one for one in pod_templates(objects) if labels.items() <= one.labels.items()]


def values_at(value: Any, key: str) -> Iterator[Any]:
    """Every value under this key, at any depth."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key:
                yield inner
            yield from values_at(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from values_at(inner, key)


def test_what_selects_pods_finds_some(objects: Objects) -> None:
    for one in objects:
        if one["kind"] in ("Service", "PodDisruptionBudget", "NetworkPolicy", "PodMonitor"):
            spec = one["spec"]
            found = spec.get("podSelector", spec.get("selector", {}))
            labels = found.get("matchLabels", {} if "podSelector" in spec else found)
            assert selected(objects, labels), f"{one['kind']}/{one['metadata']['name']} selects no pod"
        for spread in values_at(one.get("spec"), "topologySpreadConstraints"):
            assert all(selected(objects, item["labelSelector"]["matchLabels"]) for item in spread)


def test_who_may_come_in_exists(objects: Objects) -> None:
    """But for pods of other namespaces, and those of users."""
    for policy in of_kind(objects, "NetworkPolicy"):
        for peer in (peer for rule in policy["spec"].get("ingress", ()) for peer in rule["from"]):
            labels = peer.get("podSelector", {}).get("matchLabels", {})
            if "namespaceSelector" not in peer and "raysonde.io/client" not in labels:
                assert selected(objects, labels), f"{policy['metadata']['name']}: {labels} is nobody"


def test_sets_select_their_own_pods(objects: Objects) -> None:
    for one in [*of_kind(objects, "Deployment"), *of_kind(objects, "StatefulSet")]:
        labels = one["spec"]["template"]["metadata"]["labels"]
        assert one["spec"]["selector"]["matchLabels"].items() <= labels.items()
        if one["kind"] == "StatefulSet":
            the(objects, "Service", one["spec"]["serviceName"])


def test_ports_that_are_named_are_there(objects: Objects) -> None:
    for template in pod_templates(objects):
        for container in template.containers:
            names = {port["name"] for port in container.get("ports", ())}
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                port = container.get(probe, {}).get("httpGet", {}).get("port")
                assert port is None or port in names, f"{template.owner}: {probe} asks {port}"
    for service in of_kind(objects, "Service"):
        for template in selected(objects, service["spec"]["selector"]):
            for port in service["spec"]["ports"]:
                assert port["targetPort"] in port_names(template)
    for monitor in of_kind(objects, "PodMonitor"):
        for template in selected(objects, monitor["spec"]["selector"]["matchLabels"]):
            assert all(end["port"] in port_names(template) for end in monitor["spec"]["podMetricsEndpoints"])


def port_names(template: PodTemplate) -> set[str]:
    return {port["name"] for one in template.spec["containers"] for port in one.get("ports", ())}


def test_the_ingress_leads_to_the_service_that_kuberay_makes(objects: Objects) -> None:
    (service,) = of_kind(objects, "RayService")
    (ingress,) = of_kind(objects, "Ingress")
    (rule,) = ingress["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": f"{service['metadata']['name']}-serve-svc", "port": {"name": "serve"}}
    # KubeRay makes it of the ports of the head, and of no other
    assert "serve" in port_names(next(pod_templates((service,))))
    assert ingress["spec"]["tls"] == [{"hosts": [rule["host"]], "secretName": CERTIFICATE}]


def test_volumes_that_are_mounted_are_there(objects: Objects) -> None:
    claims = {one["metadata"]["name"] for one in of_kind(objects, "PersistentVolumeClaim")}
    for template in pod_templates(objects):
        volumes = {one["name"] for one in template.spec.get("volumes", ())} | set(template.claims)
        mounted = {mount["name"] for one in template.containers for mount in one.get("volumeMounts", ())}
        assert mounted <= volumes, template.owner
        for claim in values_at(template.spec, "persistentVolumeClaim"):
            assert claim["claimName"] in claims
    (service,) = of_kind(objects, "RayService")
    autoscaler = service["spec"]["rayClusterConfig"]["autoscalerOptions"]
    head = next(pod_templates((service,)))
    assert {one["name"] for one in autoscaler["volumeMounts"]} <= {
        one["name"] for one in head.spec["volumes"]
    }


def test_config_maps_are_there(objects: Objects) -> None:
    there = {one["metadata"]["name"] for one in of_kind(objects, "ConfigMap")} | GIVEN_CONFIG_MAPS
    named = set()
    for template in pod_templates(objects):
        for key in ("configMapRef", "configMap", "configMapKeyRef"):
            named |= {found["name"] for found in values_at(template.spec, key)}
    assert named <= there
    # without the hash of its content a change of the environment would change no pod
    assert any(re.fullmatch(r"raysonde-environment-\w{10}", name) for name in named)


def secrets_made_by_the_script() -> dict[str, set[str]]:
    text = (KUBERAY / "minikube.sh").read_text().replace("\\\n", " ")
    made = re.findall(r"^ +secret (raysonde-\w+) (.*)$", text, re.MULTILINE)
    return {name: set(re.findall(r'"([\w-]+)=', pairs)) for name, pairs in made}


def test_secrets_are_those_that_the_script_makes(objects: Objects) -> None:
    assert not of_kind(objects, "Secret"), "no credentials in the repository"
    used: dict[str, set[str]] = {}
    for one in objects:
        for key in ("secretKeyRef", "credentials"):
            for found in values_at(one.get("spec"), key):
                used.setdefault(found["name"], set()).add(found["key"])
        for found in values_at(one.get("spec"), "authOptions"):
            used.setdefault(found["secretName"], set()).add("auth_token")  # KubeRay's name
    assert used == secrets_made_by_the_script()


def test_what_is_served_is_trained_first_and_monitored(objects: Objects) -> None:
    (environment,) = (
        one["data"] for one in of_kind(objects, "ConfigMap") if "RAYSONDE_SERVED" in one["data"]
    )
    (service,) = of_kind(objects, "RayService")
    config = yaml.safe_load(service["spec"]["serveConfigV2"])
    assert environment["RAYSONDE_SERVED"].split() == config["applications"][-1]["args"]["workloads"]
    text = yaml.safe_dump_all(
        [the(objects, "RayJob", "raysonde-bootstrap"), *of_kind(objects, "CronJob"), service]
    )
    assert text.count("$RAYSONDE_SERVED") == 3


def test_addresses_are_those_of_services(objects: Objects) -> None:
    names = {one["metadata"]["name"]: one["spec"]["ports"][0]["port"] for one in of_kind(objects, "Service")}
    names["raysonde-serve-svc"] = 8000
    text = yaml.safe_dump_all(objects) + (KUBERAY / "minikube.sh").read_text()
    named = re.findall(r"(raysonde-(?:mlflow|postgres|redis|serve-svc))(?:\.raysonde\.svc)?:(\d+)", text)
    assert {name for name, _ in named} == names.keys()
    assert all(names[name] == int(port) for name, port in named)
