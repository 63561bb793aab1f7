"""What is recorded of a prediction: each column of the journal, the counts, and the copy for a shadow."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray
from toy.parts import toy_contract

from deployments.domain.instances import Instance
from deployments.domain.predictions import Prediction
from deployments.domain.routing import ArmVersion, Decision, RoutingPolicy, RoutingTable
from deployments.inference.recording.answer_metrics import AnswerCounts
from deployments.inference.recording.answer_recorder import AnswerRecorder, journal_record
from deployments.inference.recording.request_log import RequestLog
from deployments.inference.shadow import ShadowTraffic
from deployments.store.records import PredictionRecord, ShadowRow
from deployments.telemetry.tracing.api import NO_TRACING
from training.runtime.tasks.base import ArmAnswer

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ARMS = ("mlp", "linear", "random_forest")
VERSION = ArmVersion(model_version="3", bundle="sha256:ab", source="/models/3")
SHADOW = ArmVersion(model_version="4", bundle="sha256:cd", source="/models/4")


def prediction(arm: str, named: bool = False) -> Prediction:
    members = {"mlp": {"share": 0.25}}
    answer = ArmAnswer({"area_m2": 5.0}, {"area_m2": [4.0, 6.5]}, 0.9, 1.25, 0.93, members, cached=True)
    instance = Instance("7", "A12", np.zeros(3), b'{"noise": 1}', {"noise": 2}, number=7)
    return Prediction(instance, Decision("mlp", ARMS, named, "by weight"), arm, VERSION, answer)


@pytest.mark.parametrize(
    ("arm", "attempts"), [("mlp", ARMS[:1]), ("linear", ARMS[:2]), ("random_forest", ARMS)]
)
def test_the_attempts_are_the_arms_that_were_tried(arm: str, attempts: tuple[str, ...]) -> None:
    record = journal_record(toy_contract(), prediction(arm), NOW, 0.125)
    assert (record.arm, record.attempts, record.fallback) == (arm, attempts, arm != "mlp")


def test_every_column_is_that_of_the_prediction() -> None:
    assert journal_record(toy_contract(), prediction("linear"), NOW, 0.125)._asdict() == {
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
        "members": {"mlp": {"share": 0.25}},
        "outlier_score": 1.25,
        "cached": True,
        "level": 0.93,
        "probe": False,
        "sent_by": None,
    }


class Sink:
    def __init__(self) -> None:
        self.records: list[PredictionRecord] = []

    def add(self, rows: Sequence[PredictionRecord]) -> None:
        self.records += rows


async def test_predictions_are_journalled_counted_and_copied_for_the_shadow() -> None:
    calls: list[tuple[str, ArmVersion, int]] = []
    answers: list[ShadowRow] = []

    async def downstream(
        arm: str, version: ArmVersion, raw: NDArray[np.float64], trace: str | None = None
    ) -> Sequence[ArmAnswer]:
        calls.append((arm, version, len(raw)))
        return [ArmAnswer({"area_m2": 6.0}, {}, 0.9)] * len(raw)

    shadows = ShadowTraffic("toy", downstream, answers.extend, lambda arm: False, gather_s=0.0)
    policy = RoutingPolicy(weights={"mlp": 1.0})
    shadows.use(RoutingTable(revision=1, policy=policy, arms={"linear": VERSION}, shadows={"linear": SHADOW}))
    sink, counts, log = Sink(), AnswerCounts(toy_contract().target), RequestLog()
    recorder = AnswerRecorder(toy_contract(), sink, log, counts, shadows, NO_TRACING, lambda: NOW)
    recorder.record([prediction("linear"), prediction("mlp"), prediction("linear", named=True)], 0.5)
    assert [(one.arm, one.latency_s, one.created_at) for one in sink.records] == [
        ("linear", 0.5, NOW),
        ("mlp", 0.5, NOW),
        ("linear", 0.5, NOW),
    ]
    assert (counts.predictions, counts.outliers) == ({"linear": 2, "mlp": 1},) * 2
    assert counts.fallbacks == {"linear": 2}
    while not shadows.is_idle:
        await asyncio.sleep(0)
    assert calls == [("linear", SHADOW, 1)]
    assert [(one.id, one.created_at, one.prediction) for one in answers] == [("7", NOW, {"area_m2": 6.0})]
    log.flush()
    await shadows.close()
