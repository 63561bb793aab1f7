"""How many replicas there should be, and that Serve takes the policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from ray.serve.config import AutoscalingConfig

from deployments.actors import autoscaling_policy
from deployments.actors.autoscaling import CALLS_IN_FLIGHT, IDLE_PROCESSORS, desired_replicas
from scripts.launcher.serve_settings import AUTOSCALING


@dataclass
class Point:
    timestamp: float
    value: float


@dataclass
class ScalingContext:
    current_num_replicas: int = 1
    target_num_replicas: int = 1
    aggregated_metrics: dict[str, dict[str, float]] | None = None
    raw_metrics: dict[str, dict[str, list[Point]]] | None = None
    config: AutoscalingConfig = field(default_factory=lambda: AutoscalingConfig(target_ongoing_requests=0.4))


def context_of(calls: Sequence[float], idle: Sequence[float], replicas: int = 1) -> ScalingContext:
    """Replicas that all told the same, at a time each."""
    names = [f"replica-{number}" for number in range(replicas)]

    def points(values: Sequence[float]) -> dict[str, list[Point]]:
        return {name: [Point(float(at), value) for at, value in enumerate(values)] for name in names}

    mean = sum(calls) / len(calls)
    return ScalingContext(
        replicas,
        replicas,
        {CALLS_IN_FLIGHT: dict.fromkeys(names, mean)},
        {CALLS_IN_FLIGHT: points(calls), IDLE_PROCESSORS: points(idle)},
    )


@pytest.mark.parametrize(
    ("context", "replicas"),
    [
        (ScalingContext(), 0),
        (ScalingContext(aggregated_metrics={}), 0),
        (ScalingContext(aggregated_metrics={CALLS_IN_FLIGHT: {"a": 0.4}}), 1),
        (ScalingContext(2, 2, aggregated_metrics={CALLS_IN_FLIGHT: {"a": 0.5, "b": 0.3}}), 2),
        (ScalingContext(0, 1), 1),
        (context_of([0.8] * 5, idle=[1.5] * 5), 2),
        (context_of([1.2] * 5, idle=[1.5] * 5, replicas=2), 6),
    ],
)
def test_each_replica_gets_its_target_of_calls(context: ScalingContext, replicas: float) -> None:
    assert desired_replicas(context, lambda: 1) == pytest.approx(replicas)


@pytest.mark.parametrize(
    ("calls", "idle"),
    [
        pytest.param([0.8] * 5, [0.3] * 5, id="no processor left"),
        pytest.param([0, 0, 0, 0.5, 2.0], [1.8, 1.8, 1.8, 0.9, 0.3], id="a load that has just begun"),
        pytest.param([0.5, 2, 2, 2, 2], [0.9, 0.3, 0.3, 0.3, 0.3], id="saturated but for its first seconds"),
    ],
)
@pytest.mark.parametrize("replicas", [1, 2])
def test_none_goes_out_where_no_processor_is_left_for_it(
    calls: list[float], idle: list[float], replicas: int
) -> None:
    assert desired_replicas(context_of(calls, idle, replicas), lambda: 1) == replicas


def test_they_come_back_whether_or_not_processors_are_short() -> None:
    context = context_of([0.1] * 5, [0.0] * 5, replicas=2)
    assert desired_replicas(context, lambda: 1) == pytest.approx(2 * 0.1 / 0.4)


def test_of_several_nodes_another_one_may_have_a_processor() -> None:
    assert desired_replicas(context_of([0.8] * 5, [0.0] * 5), lambda: 2) == pytest.approx(2)


def test_the_nodes_are_asked_for_where_it_matters_alone() -> None:
    def nodes() -> int:
        raise AssertionError("asked of Ray")

    assert desired_replicas(context_of([0.1] * 5, [0.0] * 5), nodes) == pytest.approx(0.25)


def test_serve_finds_the_policy_that_the_config_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autoscaling_policy, "_nodes", lambda period: 1)
    policy = AutoscalingConfig(**AUTOSCALING).policy.get_policy()
    assert policy(context_of([0.8] * 5, idle=[1.5] * 5)) == (2, {})
