"""The policy that `autoscaling_config` names; it runs in Serve's controller. The module imports Ray."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

import ray

from deployments.actors.autoscaling import ScalingContext, desired_replicas

# Serve calls the policy several times a second for each deployment
_CACHE_S = 10


def by_calls_in_flight(context: ScalingContext) -> tuple[float, dict[str, Any]]:
    """Call `deployments.actors.autoscaling.desired_replicas` with the number of nodes.

    Returns:
        The number of replicas, and no state.
    """
    return desired_replicas(context, lambda: _nodes(int(time.monotonic() / _CACHE_S))), {}


@lru_cache(maxsize=1)
def _nodes(period: int) -> int:
    del period
    return sum(node["Alive"] for node in ray.nodes())
