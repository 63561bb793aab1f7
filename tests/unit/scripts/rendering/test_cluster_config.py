"""What a cluster's Serve config has in place of that of one machine."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from features.config import known_workloads
from scripts.rendering.cluster_config import ClusterLayout, cluster_serve_config
from scripts.rendering.files import stale
from scripts.rendering.kuberay import COMMAND, kuberay_files
from training.runtime.settings import REPOSITORY

TEXT = (REPOSITORY / "serve_config.yaml").read_text()
KNOWN = known_workloads(REPOSITORY / "configs" / "workloads")
TWICE = ClusterLayout(workloads=None, replicas=2)


def rendered(layout: ClusterLayout = TWICE) -> dict[str, Any]:
    config = yaml.safe_load(cluster_serve_config(TEXT, KNOWN, layout))
    assert isinstance(config, dict)
    return config


def parts(config: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(app["name"], d["name"]): d for app in config["applications"] for d in app["deployments"]}


@pytest.mark.parametrize(
    "path", kuberay_files(REPOSITORY), ids=lambda path: str(path.relative_to(REPOSITORY))
)
def test_no_rendered_file_is_stale(path: Any) -> None:
    assert not stale({path: kuberay_files(REPOSITORY)[path]}), f"run `{COMMAND}`"


def test_replicas_claim_places_where_they_claimed_cpus() -> None:
    here, there = parts(yaml.safe_load(TEXT)), parts(rendered())
    assert here.keys() == there.keys()
    for key, part in there.items():
        claimed = here[key]["ray_actor_options"]["num_cpus"]
        options = part["ray_actor_options"]
        assert options["num_cpus"] == 0
        assert options["resources"]["serving"] == pytest.approx(100 * claimed)
    assert there["weather", "Router"]["ray_actor_options"]["resources"] == {"serving": 5}


def test_nodes_reach_each_other() -> None:
    config = rendered()
    assert config["proxy_location"] == "EveryNode"
    assert config["http_options"] == {"host": "0.0.0.0", "port": 8000}


def test_routers_are_on_different_nodes_and_give_way_one_by_one() -> None:
    router = parts(rendered())["calories", "Router"]
    assert (router["num_replicas"], router["max_replicas_per_node"]) == (2, 1)
    assert "max_surge_percent" not in router


def test_no_part_of_the_way_of_a_request_is_there_once() -> None:
    for (app, name), part in parts(rendered()).items():
        scaling = part.get("autoscaling_config")
        if app != "root" and name != "Router":
            assert scaling is not None
            assert (scaling["min_replicas"], scaling["max_replicas"]) == (2, 4)
    alone = parts(rendered(ClusterLayout(("calories",), replicas=1)))["calories", "mlp"]["autoscaling_config"]
    assert (alone["min_replicas"], alone["max_replicas"]) == (1, 2)
    assert alone["target_ongoing_requests"] == 0.02


def test_one_router_is_replaced_before_it_goes() -> None:
    router = parts(rendered(ClusterLayout(("calories",), replicas=1)))["calories", "Router"]
    assert (router["num_replicas"], router["max_surge_percent"]) == (1, 100)
    assert "max_replicas_per_node" not in router


@pytest.mark.parametrize(
    ("name", "percent"), [("Root", 100), ("LifecycleController", None), ("Monitor", None)]
)
def test_there_are_never_two_stewards(name: str, percent: int | None) -> None:
    assert parts(rendered())["root", name].get("max_surge_percent") == percent


def test_fewer_workloads_are_known_to_the_root_too() -> None:
    config = rendered(ClusterLayout(("weather",), replicas=1))
    assert [app["name"] for app in config["applications"]] == ["weather", "root"]
    assert config["applications"][-1]["args"]["workloads"] == ["weather"]


def test_a_workload_without_an_application_is_refused() -> None:
    with pytest.raises(ValueError, match="tides"):
        rendered(ClusterLayout(("tides",), replicas=1))
