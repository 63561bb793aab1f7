"""The number of replicas of the scaler and of an arm. Pure; Serve calls `autoscaling_policy`.

Serve counts all calls that are made through its handles, and no others. Most predictions come over
connections of the replicas; calls through handles are hardly any load: versions to be loaded, which takes
seconds when a system starts, and requests for addresses. So the called replicas count the predictions.

Calls also grow long where processors are short, and then another replica only takes turns with those that are
there: it costs memory and cold caches, and nothing gets faster. So a single machine gets more replicas only
while it has a processor for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, Protocol

# names of metrics in Serve
CALLS_IN_FLIGHT = "calls_under_way"
IDLE_PROCESSORS = "idle_processors"

# Saturated by requests, two cores still show 0.2 to 0.4 of one as idle: the Router waits in between.
_ROOM_PROCESSORS = 0.5


class ScalingConfig(Protocol):
    """The used part of Serve's `AutoscalingConfig`."""

    def get_target_ongoing_requests(self) -> float:
        """Return the number of calls in flight that a replica is to have."""
        ...


class TimedValue(Protocol):
    """A value of a replica at a time, which is the same for all its metrics."""

    @property
    def timestamp(self) -> float:
        """The time of the value."""
        ...

    @property
    def value(self) -> float:
        """The value of one of the numbers."""
        ...


class ScalingContext(Protocol):
    """The used part of Serve's `AutoscalingContext`: metrics of the look-back, by replica."""

    @property
    def current_num_replicas(self) -> int:
        """Number of replicas that run."""
        ...

    @property
    def target_num_replicas(self) -> int:
        """Number of replicas as decided last."""
        ...

    @property
    def aggregated_metrics(self) -> Mapping[str, Mapping[Any, float]] | None:
        """The mean over the look-back, by metric and replica."""
        ...

    @property
    def raw_metrics(self) -> Mapping[str, Mapping[Any, Sequence[TimedValue]]] | None:
        """The values of the look-back, by metric and replica."""
        ...

    @property
    def config(self) -> ScalingConfig:
        """The deployment's `autoscaling_config`."""
        ...


def desired_replicas(context: ScalingContext, nodes: Callable[[], int]) -> float:
    """Return the number with which each has `target_ongoing_requests` predictions in flight on average.

    Serve keeps the number within its bounds, and waits for the delays of the config before it follows.

    Args:
        context: of a deployment.
        nodes: returns the number of nodes of the cluster. Of several, another one may have room.
    """
    if context.current_num_replicas == 0:
        return context.target_num_replicas
    target = context.config.get_target_ongoing_requests()
    calls = (context.aggregated_metrics or {}).get(CALLS_IN_FLIGHT, {})
    wanted = sum(calls.values()) / target
    if wanted <= context.target_num_replicas or nodes() > 1:
        return wanted
    return max(context.target_num_replicas, min(wanted, _calls_with_room(context) / target))


def _calls_with_room(context: ScalingContext) -> float:
    """Return the calls in flight while the machine had a processor for another replica.

    The median over time: the first seconds of a load are half idle, however large it is.
    """
    metrics = context.raw_metrics or {}
    idle = metrics.get(IDLE_PROCESSORS, {})
    calls = 0.0
    for replica, points in metrics.get(CALLS_IN_FLIGHT, {}).items():
        has_room = {point.timestamp: point.value >= _ROOM_PROCESSORS for point in idle.get(replica, ())}
        with_room = [point.value if has_room.get(point.timestamp, True) else 0.0 for point in points]
        calls += median(with_room) if with_room else 0.0
    return calls
