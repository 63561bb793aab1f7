"""Layouts: how many replicas each part has while it is measured. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from scripts.benchmarks.bench.raysonde import WORKLOAD
from scripts.launcher.serve_settings import with_applications


@dataclass(frozen=True)
class Layout:
    """Fixed numbers of replicas.

    Attributes:
        name: for the table.
        routers, others: replicas of the Router, and of the scaler and of the arm each.
        nodes: raylets; with more than one no two replicas of a part are on the same.
    """

    name: str
    routers: int = 1
    others: int = 1
    nodes: int = 1


LAYOUTS = (
    Layout("one of each"),
    Layout("two routers", routers=2),
    Layout("two of each", routers=2, others=2),
    Layout("two of each, two nodes", routers=2, others=2, nodes=2),
)


def serve_config(text: str, arm: str, layout: Layout) -> str:
    """Return the Serve config with the benchmark's workload in fixed numbers of replicas.

    Args:
        text: of `serve_config.yaml`.
    """
    config: dict[str, Any] = yaml.safe_load(with_applications(text, {WORKLOAD: [arm]}))
    (application,) = (app for app in config["applications"] if app["name"] == WORKLOAD)
    for deployment in application["deployments"]:
        deployment.pop("autoscaling_config", None)
        deployment["num_replicas"] = layout.routers if deployment["name"] == "Router" else layout.others
        if layout.nodes > 1:
            deployment["max_replicas_per_node"] = 1
    return yaml.safe_dump(config, sort_keys=False)


def is_complete(layout: Layout, arm: str, running: Mapping[str, Iterable[str]]) -> bool:
    """Return whether all replicas run, spread over as many nodes as there are.

    Args:
        running: the node of each running replica, by deployment.
    """
    wanted = {"Router": layout.routers, "FeatureScaler": layout.others, arm: layout.others}
    nodes = {name: list(running.get(name, ())) for name in wanted}
    return all(
        len(nodes[name]) == count and len(set(nodes[name])) == min(count, layout.nodes)
        for name, count in wanted.items()
    )
