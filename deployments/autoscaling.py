"""How many replicas of the scaler and of an arm there should be; `autoscaling_config` names it.

Serve counts the calls that are made through its handles. Those that replicas make over connections of their
own are counted by who is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

CALLS_UNDER_WAY = "calls_under_way"


class Targets(Protocol):
    """What is used of Serve's `AutoscalingConfig`."""

    def get_target_ongoing_requests(self) -> float:
        """Calls under way that a replica is to have."""
        ...


class Situation(Protocol):
    """What is used of Serve's `AutoscalingContext`: numbers averaged over the look-back, by replica."""

    current_num_replicas: int
    target_num_replicas: int
    total_num_requests: float
    aggregated_metrics: Mapping[str, Mapping[Any, float]] | None
    config: Targets


def by_calls_under_way(situation: Situation) -> tuple[float, dict[str, Any]]:
    """So many that each has `target_ongoing_requests` calls under way on average, however they are made.

    Serve keeps the number within its bounds, and waits for the delays of the config before it follows.

    Returns:
        The number, and no state.
    """
    if situation.current_num_replicas == 0:
        return situation.target_num_replicas, {}
    direct = (situation.aggregated_metrics or {}).get(CALLS_UNDER_WAY, {})
    calls = situation.total_num_requests + sum(direct.values())
    return calls / situation.config.get_target_ongoing_requests(), {}
