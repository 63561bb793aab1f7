"""Each column of the journal, of an answer whose every member differs from its neighbours."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from toy.parts import toy_contract

from deployments.domain.instances import Instance
from deployments.domain.outcomes import Answered
from deployments.domain.predictions import Prediction
from deployments.domain.routing import ArmVersion, Decision
from deployments.inference.journal_row import journal_row
from training.runtime.tasks.base import ArmAnswer

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ARMS = ("mlp", "linear", "random_forest")


def answered(arm: str) -> Answered:
    row = ArmAnswer({"area_m2": 5.0}, {"area_m2": [4.0, 6.5]}, 0.9, 1.25, 0.93)
    version = ArmVersion(model_version="3", bundle="sha256:ab", source="/models/3")
    prediction = Prediction("7", row, arm, version, arm != "mlp", members={"mlp": 0.25})
    instance = Instance("7", "A12", np.zeros(3), b'{"noise": 1}', {"noise": 2})
    decision = Decision("mlp", ARMS, named=False, reason="by weight")
    return Answered(instance, prediction, decision, latency_s=0.125, cached=True)


@pytest.mark.parametrize(
    ("arm", "attempts"), [("mlp", ARMS[:1]), ("linear", ARMS[:2]), ("random_forest", ARMS)]
)
def test_the_attempts_are_the_arms_that_were_tried(arm: str, attempts: tuple[str, ...]) -> None:
    row = journal_row(toy_contract(), answered(arm), NOW)
    assert (row.arm, row.attempts, row.fallback) == (arm, attempts, arm != "mlp")


def test_every_column_is_that_of_the_answer() -> None:
    assert journal_row(toy_contract(), answered("linear"), NOW)._asdict() == {
        "workload": "toy",
        "id": "7",
        "entity": "A12",
        "arm": "linear",
        "model_version": "3",
        "bundle": "sha256:ab",
        "schema_version": "1.0",
        "named": False,
        "fallback": True,
        "attempts": ("mlp", "linear"),
        "created_at": NOW,
        "latency_s": 0.125,
        "prediction": {"area_m2": 5.0},
        "interval": {"area_m2": [4.0, 6.5]},
        "coverage": 0.9,
        "filled": {"noise": 2},
        "payload": '{"noise": 1}',
        "members": {"mlp": 0.25},
        "outlier_score": 1.25,
        "cached": True,
        "level": 0.93,
    }
