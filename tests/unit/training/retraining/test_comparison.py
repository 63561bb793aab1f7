"""A challenger beside a champion: real bundles of the toy workload, on truths of their own."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from toy.parts import linear_graph, toy_contract, toy_parts, toy_raw
from toy.workload import WORKLOAD

from features.workload import anchors_of
from training.data.dataset import Dataset
from training.retraining.comparison import compare
from training.runtime.bundle import Bundle, BundleParts, Golden, read_bundle, write_bundle
from training.runtime.inference import Model
from training.runtime.retraining_config import GateConfig
from training.runtime.tasks.base import Predicted

CONFIG = GateConfig()


def held_out(rows: int = 400) -> Dataset:
    raw = toy_raw(rows, seed=3)
    ones = np.ones(rows)
    return Dataset(
        WORKLOAD.features(raw),
        raw[:, 0] * raw[:, 1],
        ones,
        np.arange(rows),
        np.arange(rows, dtype=np.float64),
        raw,
        "0",
    )


def fitted() -> BundleParts:
    """The least-squares model of the toy workload, instead of made-up weights; bands as wide as it needs."""
    parts, raw = toy_parts(), toy_raw(400)
    features = WORKLOAD.features(raw)
    encoded = WORKLOAD.encode_target(raw[:, 0] * raw[:, 1], anchors_of(WORKLOAD, features))
    x = parts.scaler.transform(features)
    y = parts.target_scaler.transform(encoded[:, None])[:, 0]
    weights, *_ = np.linalg.lstsq(x, y, rcond=None)
    parts = replace(parts, onnx=linear_graph(weights), golden=replace(parts.golden, outputs=Predicted({})))
    golden = Golden(parts.golden.raw, parts.golden.features, Model(parts).predict(parts.golden.raw))
    return replace(parts, golden=golden)


@pytest.fixture
def champion(tmp_path: Path) -> Bundle:
    write_bundle(toy_parts(), tmp_path / "champion")
    return read_bundle(tmp_path / "champion", served=toy_contract())


def test_a_better_model_passes_and_the_numbers_say_how_much(champion: Bundle) -> None:
    verdict = compare(CONFIG, held_out(), fitted(), champion)
    assert verdict.checks[0].passed
    assert verdict.numbers["challenger_loss"] < verdict.numbers["champion_loss"]
    truth, predicted = held_out().target, Model(champion).predict(toy_raw(400, seed=3))["prediction"]
    assert verdict.numbers["champion_loss"] == pytest.approx(np.abs(predicted - truth).mean())


def test_the_same_model_does_not_pass(champion: Bundle) -> None:
    verdict = compare(CONFIG, held_out(), toy_parts(), champion)
    assert not verdict.passed
    assert verdict.reasons[0].startswith("It is not shown to be better")


def test_latencies_are_taken_in_turns(champion: Bundle) -> None:
    """A clock that ticks once a look: every row takes one tick, and warm rows are not counted."""
    ticks = count()
    verdict = compare(CONFIG, held_out(), fitted(), champion, clock=lambda: float(next(ticks)))
    assert verdict.numbers["latency_s"] == 1
    assert verdict.numbers["latency_ratio"] == 1
    assert next(ticks) == 2 * (2 * 200 + 10)


def test_an_arm_without_a_champion_takes_what_covers() -> None:
    verdict = compare(CONFIG, held_out(), fitted(), None)
    assert [check.name for check in verdict.checks] == ["champion", "coverage"]
