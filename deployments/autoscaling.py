"""How many replicas of the scaler and of an arm there should be; `autoscaling_config` names it.

Serve counts all calls that are made through its handles, and no others. Most predictions come over
connections of the replicas; what comes through handles is hardly any load: versions to be loaded, which takes
seconds when a system starts, questions for addresses. So who is called counts the predictions.
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
    aggregated_metrics: Mapping[str, Mapping[Any, float]] | None
    config: Targets


def by_calls_under_way(situation: Situation) -> tuple[float, dict[str, Any]]:
    """So many that each has `target_ongoing_requests` calls for predictions under way on average.

    Serve keeps the number within its bounds, and waits for the delays of the config before it follows.

    Returns:
        The number, and no state.
    """
    if situation.current_num_replicas == 0:
        return situation.target_num_replicas, {}
    calls = (situation.aggregated_metrics or {}).get(CALLS_UNDER_WAY, {})
    return sum(calls.values()) / situation.config.get_target_ongoing_requests(), {}
