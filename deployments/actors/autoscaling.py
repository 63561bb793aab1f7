"""How many replicas of the scaler and of an arm there should be. Pure; Serve calls `autoscaling_policy`.

Serve counts all calls that are made through its handles, and no others. Most predictions come over
connections of the replicas; what comes through handles is hardly any load: versions to be loaded, which takes
seconds when a system starts, questions for addresses. So who is called counts the predictions.

Calls also grow long where processors are short, and then another replica only takes turns with those that are
there: it costs memory and cold caches, and nothing gets faster. So on a machine that stands alone they go out
while it has a processor for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, Protocol

CALLS_UNDER_WAY = "calls_under_way"
IDLE_PROCESSORS = "idle_processors"

# Saturated by requests, two cores still show 0.2 to 0.4 of one as idle: the Router waits in between.
_ROOM_PROCESSORS = 0.5


class Targets(Protocol):
    """What is used of Serve's `AutoscalingConfig`."""

    def get_target_ongoing_requests(self) -> float:
        """Calls under way that a replica is to have."""
        ...


class Point(Protocol):
    """What a replica told at a time, which is the same for all its numbers."""

    @property
    def timestamp(self) -> float:
        """When it told them."""
        ...

    @property
    def value(self) -> float:
        """Of one of the numbers."""
        ...


class Situation(Protocol):
    """What is used of Serve's `AutoscalingContext`: numbers of the look-back, by replica."""

    @property
    def current_num_replicas(self) -> int:
        """Those that run."""
        ...

    @property
    def target_num_replicas(self) -> int:
        """As decided last."""
        ...

    @property
    def aggregated_metrics(self) -> Mapping[str, Mapping[Any, float]] | None:
        """The mean over the look-back, by metric and replica."""
        ...

    @property
    def raw_metrics(self) -> Mapping[str, Mapping[Any, Sequence[Point]]] | None:
        """All that was told in the look-back, by metric and replica."""
        ...

    @property
    def config(self) -> Targets:
        """The deployment's `autoscaling_config`."""
        ...


def replicas_wanted(situation: Situation, nodes: Callable[[], int]) -> float:
    """So many that each has `target_ongoing_requests` calls for predictions under way on average.

    Serve keeps the number within its bounds, and waits for the delays of the config before it follows.

    Args:
        situation: of a deployment.
        nodes: how many the cluster has, asked where it matters. Of several, another one may have room.
    """
    if situation.current_num_replicas == 0:
        return situation.target_num_replicas
    target = situation.config.get_target_ongoing_requests()
    calls = (situation.aggregated_metrics or {}).get(CALLS_UNDER_WAY, {})
    wanted = sum(calls.values()) / target
    if wanted <= situation.target_num_replicas or nodes() > 1:
        return wanted
    return max(situation.target_num_replicas, min(wanted, _calls_with_room(situation) / target))


def _calls_with_room(situation: Situation) -> float:
    """Calls under way while the machine had a processor for another replica.

    The median over time: the first seconds of a load are half idle, however large it is.
    """
    told = situation.raw_metrics or {}
    idle = told.get(IDLE_PROCESSORS, {})
    calls = 0.0
    for replica, points in told.get(CALLS_UNDER_WAY, {}).items():
        has_room = {point.timestamp: point.value >= _ROOM_PROCESSORS for point in idle.get(replica, ())}
        with_room = [point.value if has_room.get(point.timestamp, True) else 0.0 for point in points]
        calls += median(with_room) if with_room else 0.0
    return calls
