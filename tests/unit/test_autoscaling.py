"""How many replicas there should be, and that Serve takes the policy."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from ray.serve.config import AutoscalingConfig

from deployments.autoscaling import CALLS_UNDER_WAY, by_calls_under_way
from scripts.serve_settings import AUTOSCALING


@dataclass
class Situation:
    current_num_replicas: int = 1
    target_num_replicas: int = 1
    aggregated_metrics: dict[str, dict[str, float]] | None = None
    config: AutoscalingConfig = field(default_factory=lambda: AutoscalingConfig(target_ongoing_requests=0.4))


@pytest.mark.parametrize(
    ("situation", "replicas"),
    [
        (Situation(), 0),
        (Situation(aggregated_metrics={}), 0),
        (Situation(aggregated_metrics={CALLS_UNDER_WAY: {"a": 0.4}}), 1),
        (Situation(2, 2, aggregated_metrics={CALLS_UNDER_WAY: {"a": 0.5, "b": 0.3}}), 2),
        (Situation(0, 1), 1),
    ],
)
def test_each_replica_gets_its_target_of_calls(situation: Situation, replicas: float) -> None:
    assert by_calls_under_way(situation)[0] == pytest.approx(replicas)


def test_serve_finds_the_policy_that_the_config_names() -> None:
    policy = AutoscalingConfig(**AUTOSCALING).policy.get_policy()
    assert policy(Situation(aggregated_metrics={CALLS_UNDER_WAY: {"a": 0.8}})) == (2, {})
