"""The pure parts of `make scaling`: layouts, parts, and what larger rates need."""

from __future__ import annotations

import pytest
import yaml

from scripts.benchmarks.scaling.journal_cost import JournalCost
from scripts.benchmarks.scaling.layouts import LAYOUTS, Layout, is_complete, serve_config
from scripts.benchmarks.scaling.needs import needs
from scripts.benchmarks.scaling.page import measured_part
from scripts.benchmarks.scaling.parts import by_part, classify_process, per_1000
from scripts.benchmarks.scaling.run import LayoutPlan, MeasuredLayout
from training.runtime.settings import REPOSITORY

TEXT = (REPOSITORY / "serve_config.yaml").read_text()
COSTS = {"router": 0.3, "scaler": 0.06, "arm": 0.06, "HAProxy": 0.06, "rest": 0.1}


def test_a_layout_has_fixed_numbers_of_replicas() -> None:
    layout = Layout("two nodes", routers=2, others=3, nodes=2)
    config = yaml.safe_load(serve_config(TEXT, "mlp", layout))
    (bench,) = (app for app in config["applications"] if app["name"] == "bench")
    parts = {one["name"]: one for one in bench["deployments"]}
    assert {name: one["num_replicas"] for name, one in parts.items()} == {
        "Router": 2,
        "FeatureScaler": 3,
        "mlp": 3,
    }
    assert all(one["max_replicas_per_node"] == 1 for one in parts.values())
    assert not any("autoscaling_config" in one for one in parts.values())
    (root,) = (app for app in config["applications"] if app["name"] == "root")
    assert "bench" in root["args"]["workloads"]


@pytest.mark.parametrize(
    ("running", "expected"),
    [
        ({"Router": ["a", "b"], "FeatureScaler": ["a", "b"], "mlp": ["b", "a"]}, True),
        ({"Router": ["a", "a"], "FeatureScaler": ["a", "b"], "mlp": ["b", "a"]}, False),
        ({"Router": ["a", "b"], "FeatureScaler": ["a", "b"], "mlp": ["b"]}, False),
        ({}, False),
    ],
)
def test_a_system_is_complete_when_all_run_on_as_many_nodes(
    running: dict[str, list[str]], expected: bool
) -> None:
    assert is_complete(LAYOUTS[-1], "mlp", running) is expected


@pytest.mark.parametrize(
    ("command", "part"),
    [
        ("ray::ServeReplica:bench:Router", "router"),
        ("ray::ServeReplica:bench:FeatureScaler.handle_request", "scaler"),
        ("ray::ServeReplica:bench:mlp", "arm"),
        ("ray::ServeReplica:root:LifecycleController", "rest"),
        ("/opt/ray/haproxy -f /tmp/haproxy.cfg", "HAProxy"),
        ("ray::HAProxyManager", "rest"),
        ("python -m scripts.launcher.serve_child serve_config.yaml", "rest"),
    ],
)
def test_parts_by_command_line(command: str, part: str) -> None:
    assert classify_process(command) == part


def test_seconds_by_part_and_1000_answers() -> None:
    spent = by_part(
        [("ray::ServeReplica:bench:Router", 3.0), ("ray::ServeReplica:bench:Router", 1.0), ("gcs", 0.5)]
    )
    assert per_1000(spent, 8000) == {"router": 0.5, "scaler": 0, "arm": 0, "HAProxy": 0, "rest": 0.0625}
    with pytest.raises(ValueError, match="answered: got 0"):
        per_1000(spent, 0)


def test_what_10000_requests_a_second_need() -> None:
    need = needs(10_000, COSTS, 1000)
    assert need.replicas == {"router": 5, "scaler": 1, "arm": 1}
    assert need.cores == pytest.approx(8)
    assert (need.nodes, need.journal_mb_per_s) == (1, 10)


def test_ten_times_the_rate_needs_ten_times_the_cores_on_more_nodes() -> None:
    need = needs(100_000, COSTS, 1000)
    assert need.replicas == {"router": 50, "scaler": 10, "arm": 10}
    assert need.cores == pytest.approx(80)
    assert need.nodes == 6


def test_the_page_has_rates_costs_and_needs() -> None:
    measured = [MeasuredLayout(LAYOUTS[0], 2500.0, 20.0, 45.0, 0, COSTS)]
    plan = LayoutPlan("mlp", 64, 3, 8, REPOSITORY, 8330)
    part = measured_part("make scaling", "a machine", plan, measured, JournalCost(0.04, 900))
    assert "| one of each | 2,500 | 20.0 | 45.0 | 0 |" in part
    assert "| one of each | 0.300 | 0.060 | 0.060 | 0.060 | 0.100 |" in part
    assert "| 10,000 | 5 | 1 | 1 | 8 | 1 | 9.0 |" in part
