"""The policy that `autoscaling_config` names; it runs in Serve's controller. Imports Ray."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

import ray

from deployments.actors.autoscaling import Situation, replicas_wanted

# Serve asks several times a second for each deployment
_KEPT_S = 10


def by_calls_in_flight(situation: Situation) -> tuple[float, dict[str, Any]]:
    """See `deployments.actors.autoscaling.replicas_wanted`.

    Returns:
        The number, and no state.
    """
    return replicas_wanted(situation, lambda: _nodes(int(time.monotonic() / _KEPT_S))), {}


@lru_cache(maxsize=1)
def _nodes(period: int) -> int:
    del period
    return sum(node["Alive"] for node in ray.nodes())
