"""What keeps the cluster of kuberay/ answering: probes, spread, budgets, a kept GCS, an autoscaler."""

from __future__ import annotations

from typing import Any

from scripts.rendering.dashboards.files import DASHBOARDS
from tests.support.manifests import (
    KUBERAY,
    Objects,
    PodTemplate,
    cluster_of,
    kustomized,
    of_kind,
    overlay,
    pod_templates,
    the,
)


def of_component(objects: Objects, component: str) -> PodTemplate:
    (found,) = (
        one for one in pod_templates(objects) if one.labels["app.kubernetes.io/component"] == component
    )
    return found


def test_what_runs_for_good_says_whether_it_is_ready_and_alive(objects: Objects) -> None:
    endless = [template for template in pod_templates(objects) if not template.owner.startswith("CronJob")]
    assert len(endless) == 7
    for template in endless:
        for container in template.spec["containers"]:
            assert {"readinessProbe", "livenessProbe"} <= container.keys(), template.owner


def test_requests_go_to_pods_whose_proxy_answers_and_to_no_other(objects: Objects) -> None:
    (service,) = of_kind(objects, "RayService")
    assert service["spec"]["excludeHeadPodFromServeSvc"] is True
    for component in ("serving", "training"):
        (container,) = of_component(objects, component).spec["containers"]
        assert container["readinessProbe"]["httpGet"] == {"path": "/-/ready/any", "port": "serve"}
        # a proxy without routes is one of a node that lives
        assert container["livenessProbe"]["httpGet"]["port"] == "health"


def test_pods_that_serve_are_spread_and_leave_one_by_one(objects: Objects) -> None:
    serving = of_component(objects, "serving")
    spread = {one["topologyKey"] for one in serving.spec["topologySpreadConstraints"]}
    assert spread == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
    budgets: dict[str, Any] = {
        one["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"]: one["spec"]["maxUnavailable"]
        for one in of_kind(objects, "PodDisruptionBudget")
    }
    assert budgets == {"serving": 1, "training": 0}


def test_a_head_that_comes_back_finds_what_the_one_before_knew(objects: Objects) -> None:
    kept = cluster_of(objects)["gcsFaultToleranceOptions"]
    redis = the(objects, "Service", "raysonde-redis")
    port = redis["spec"]["ports"][0]["port"]
    assert kept["redisAddress"] == f"redis://{redis['metadata']['name']}:{port}"
    assert kept["redisPassword"]["valueFrom"]["secretKeyRef"]["name"] == "raysonde-redis"


def test_the_autoscaler_of_ray_has_room_where_it_is_to_have_some() -> None:
    cluster = cluster_of(overlay("production"))
    assert cluster["enableInTreeAutoscaling"] is True
    sizes = {
        one["groupName"]: (one["minReplicas"], one["maxReplicas"]) for one in cluster["workerGroupSpecs"]
    }
    assert sizes == {"serving": (2, 6), "training": (0, 1)}


def test_each_dashboard_is_a_config_map_that_grafana_looks_for() -> None:
    found = {
        name
        for one in of_kind(kustomized(KUBERAY / "monitoring"), "ConfigMap")
        if one["metadata"]["labels"] == {"grafana_dashboard": "1"}
        for name in one["data"]
    }
    names = {path.name for path in (KUBERAY.parent / "configs" / "grafana" / "dashboards").glob("*.json")}
    assert found == names
    assert len(names) == len(DASHBOARDS)
