"""The Serve config of a cluster, from that of one machine; pure.

On one machine replicas claim hundredths of a CPU, so that a search finds a whole one. On a cluster they claim
places of the nodes that serve, a place for each hundredth, and no CPU at all: those nodes tell Ray of places
only, and the ones that train of CPUs only. So no trial is ever started beside replicas, no replica on a node
that goes when a training has ended, and the autoscaler knows which kind of node is lacking.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import yaml

from scripts.launcher.serve_settings import render, served_workloads

# the custom resource, as the worker groups of kuberay/ name it
PLACE = "serving"
_PLACES_OF_A_CPU = 100
# Of the others what replaces a replica comes before that one goes. Nobody waits for an answer of these; and
# routers that are all on nodes of their own give way one after the other, or the new ones would find no node.
_ONLY_ONE = frozenset({"LifecycleController", "Monitor"})
_PORT = 8000


@dataclass(frozen=True)
class ClusterLayout:
    """The layout of one cluster.

    Attributes:
        workloads: their names; None: all that have an application.
        replicas: of each part that a request goes through, at least. Routers of a workload are on different
            nodes.
    """

    workloads: tuple[str, ...] | None
    replicas: int


def cluster_serve_config(text: str, known: Collection[str], layout: ClusterLayout) -> str:
    """Return the Serve config for KubeRay's `serveConfigV2`.

    Args:
        text: of `serve_config.yaml`.
        known: all workloads that there are.
        layout: see there.

    Raises:
        ValueError: a workload of the layout has no application.
    """
    names = sorted(known)
    chosen = served_workloads(text, names) if layout.workloads is None else layout.workloads
    config: dict[str, Any] = yaml.safe_load(render(text, _PORT, names, chosen))
    # nodes reach each other's replicas; what else may reach them is for the network policies
    config |= {"proxy_location": "EveryNode", "http_options": {"host": "0.0.0.0", "port": _PORT}}
    for application in config["applications"]:
        for deployment in application["deployments"]:
            _place(deployment)
            _multiply(deployment, layout.replicas)
            apart = deployment["name"] == "Router" and layout.replicas > 1
            if apart:
                deployment["max_replicas_per_node"] = 1
            elif deployment["name"] not in _ONLY_ONE:
                deployment["max_surge_percent"] = 100
    return yaml.dump(config, Dumper=PlainDumper, sort_keys=False)


def _place(deployment: dict[str, Any]) -> None:
    """Claim places instead of CPU."""
    options = deployment["ray_actor_options"]
    places = round(options["num_cpus"] * _PLACES_OF_A_CPU)
    deployment["ray_actor_options"] = options | {"num_cpus": 0, "resources": {PLACE: places}}


def _multiply(deployment: dict[str, Any], replicas: int) -> None:
    """Set as many replicas as the layout has; the load may double them."""
    scaling = deployment.get("autoscaling_config")
    if scaling is not None:
        fewest, most = max(scaling["min_replicas"], replicas), max(scaling["max_replicas"], 2 * replicas)
        deployment["autoscaling_config"] = scaling | {"min_replicas": fewest, "max_replicas": most}
    elif deployment["name"] == "Router":
        deployment["num_replicas"] = replicas


class PlainDumper(yaml.SafeDumper):
    """YAML as a person would write it: no anchors, texts of several lines as blocks."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write each value where it stands."""
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


PlainDumper.add_representer(str, _represent_text)
