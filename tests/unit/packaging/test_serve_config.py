"""The Serve config fits the workloads' files, and no part of serving names one of them."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from deployments.domain.routing import RoutingPolicy
from features.config import load_sections
from scripts.launcher.serve_settings import AUTOSCALING, SCALER_AUTOSCALING, with_applications
from training.runtime.settings import REPOSITORY

WORKLOADS = REPOSITORY / "configs" / "workloads"
NAMES = sorted(path.stem for path in WORKLOADS.glob("*.yaml"))
CONFIG: dict[str, Any] = yaml.safe_load((REPOSITORY / "serve_config.yaml").read_text())
APPLICATIONS = {app["name"]: app for app in CONFIG["applications"]}


def test_every_workload_has_its_application() -> None:
    assert [*NAMES, "root"] == sorted(APPLICATIONS, key=lambda name: (name == "root", name))
    assert sorted(APPLICATIONS["root"]["args"]["workloads"]) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_an_application_has_a_deployment_for_each_arm(name: str) -> None:
    app = APPLICATIONS[name]
    sections = load_sections(WORKLOADS, name)
    arms = RoutingPolicy.model_validate(sections["routing"]).arms
    assert app["route_prefix"] == f"/{name}"
    assert app["args"] == {"workload": name, "own_lifecycle_controller": False}
    assert {one["name"] for one in app["deployments"]} == {"Router", "FeatureScaler", *arms}
    assert set(sections["training"]["families"]) == set(arms)


def test_one_lifecycle_controller_reconciles_all_of_them() -> None:
    stewards = [
        name
        for name, app in APPLICATIONS.items()
        for d in app["deployments"]
        if d["name"] == "LifecycleController"
    ]
    assert stewards == ["root"]


@pytest.mark.parametrize("name", NAMES)
def test_scaler_and_arms_scale_as_those_of_a_users_own_workload(name: str) -> None:
    text = with_applications((REPOSITORY / "serve_config.yaml").read_text(), {"own": ["linear"]})
    (own,) = (app for app in yaml.safe_load(text)["applications"] if app["name"] == "own")
    expected = {d["name"]: d.get("autoscaling_config") for d in own["deployments"]}
    by_load = {d["name"]: d.get("autoscaling_config") for d in APPLICATIONS[name]["deployments"]}
    arms = by_load.keys() - {"Router", "FeatureScaler"}
    assert by_load == {
        "Router": None,
        "FeatureScaler": expected["FeatureScaler"],
        **dict.fromkeys(arms, expected["linear"]),
    }
    assert (expected["linear"], expected["FeatureScaler"]) == (AUTOSCALING, SCALER_AUTOSCALING)


def test_all_replicas_together_leave_a_core_of_two() -> None:
    claimed = 0.0
    for app in APPLICATIONS.values():
        for one in app["deployments"]:
            most = one.get("autoscaling_config", {}).get("max_replicas", one.get("num_replicas", 1))
            claimed += most * one["ray_actor_options"]["num_cpus"]
    assert claimed <= 1.0


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "deployments").rglob("*.py")), ids=lambda path: str(path.name)
)
def test_nothing_in_serving_names_a_workload(path: Any) -> None:
    words = set(re.findall(r"[a-z]+", path.read_text().lower()))
    assert not words & set(NAMES)


@pytest.mark.parametrize("name", [*NAMES, "of one's own"])
def test_a_router_takes_what_it_answers_in_time_and_refuses_the_rest(name: str) -> None:
    text = with_applications((REPOSITORY / "serve_config.yaml").read_text(), {"of one's own": ["linear"]})
    applications = {app["name"]: app for app in yaml.safe_load(text)["applications"]}
    (router,) = (one for one in applications[name]["deployments"] if one["name"] == "Router")
    assert (router["max_ongoing_requests"], router["max_queued_requests"]) == (512, 512)
    assert router["backpressure_config"] == {"retry_after_s": 1}
