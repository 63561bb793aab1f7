"""Models of trajectory: better than a constant velocity on vehicles they have not seen, and their report."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from features.config import BUILT_IN, load_sections
from features.routes import WAVES, route_waves
from scripts.replay.reports.base import load_report
from scripts.replay.reports.trajectory import cross_validated
from tests.support.tracks import made_up, trajectory_contract
from training.config import TrainingConfig
from training.families.base import load_family
from training.families.linear import expand
from training.pipeline.assembly import Origin, assemble
from training.pipeline.crossval import cross_validate
from training.pipeline.preparation import Prepared, prepare
from training.pipeline.progress import no_stages
from training.runtime.bundle import Card
from training.runtime.inference import Model
from training.runtime.settings import REPOSITORY
from training.search.trials import Best
from training.sources.base import serial_map

CONTRACT = trajectory_contract()
RIDGE: Mapping[str, Any] = {"alpha": 300.0, "products": False}


def prepared(directory: Path) -> Prepared:
    source = {"module": "training.sources.vehicles", "vehicles": 60, "seed": 3}
    config = TrainingConfig(source=source, families=("ridge",))
    return prepare(CONTRACT, config, directory, 0, serial_map, no_stages)


def test_distances_are_learnt_that_a_constant_velocity_misses_on_other_vehicles() -> None:
    training = TrainingConfig.model_validate(load_sections(BUILT_IN, "trajectory")["training"])
    small = {**training.search["mlp"], "width": 32, "members": 2, "epochs": 8, "device": "cpu"}
    found = cross_validate(CONTRACT, made_up(100), {"mlp": small}, folds=2, rows=training.rows).metrics()
    for time_s, share in ((60, 0.75), (120, 0.87), (300, 0.93), (600, 0.87)):
        name = f"mean_error_{time_s}_s_m"
        assert found["mlp"][name] < share * found["constant_velocity"][name]


def test_the_report_has_the_errors_and_their_shares() -> None:
    card = Card(
        workload="trajectory",
        family="ridge",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        git_commit="0" * 40,
        data_hash="0" * 64,
        seed=0,
        trial="a",
        params=dict(RIDGE),
        metrics={},
        baselines={},
        feature_names=(),
    )
    errors, shares = cross_validated(CONTRACT, made_up(20), {"ridge": card})
    assert [row[0] for row in errors.rows] == ["ridge", "constant_velocity", "reported_velocity"]
    assert shares.rows[1][1:] == ("1",) * 5
    assert load_report(REPOSITORY / "configs" / "workloads", CONTRACT).more is cross_validated


def test_a_bundle_answers_with_radii_that_grow(tmp_path: Path) -> None:
    parts = prepared(tmp_path)
    fitted = load_family("ridge").fit(RIDGE, parts.train, parts.valid, 0, lambda *_: None)
    best = Best(trial_id="a", params=dict(RIDGE), loss=0.0, onnx=fitted.to_onnx())
    made = assemble(parts, best, Origin("ridge", datetime(2026, 1, 1, tzinfo=UTC), "0" * 40, 0), 0.9)
    predicted = Model(made).predict(parts.splits.test.raw[:200].astype(float))
    radius = np.median(predicted["radius_m"], axis=0)
    assert (np.diff(radius) > 0).all()
    assert np.isfinite(predicted["position"]).all()
    assert 0.6 < made.card.metrics["coverage"] <= 1


def test_products_of_a_long_sequence_are_those_of_its_last_step() -> None:
    x = np.arange(2 * 3 * 40, dtype=np.float32).reshape(2, 3, 40) / np.float32(100)
    pairs, columns = expand(x, products=True)
    assert pairs.min() == 80
    assert pairs.shape == (2, 40 * 41 // 2)
    assert columns.shape == (2, 120 + 820)
    assert expand(x[:, :, :5], products=True)[0].shape == (2, 15 * 16 // 2)


def test_waves_tell_places_and_headings_apart_but_not_the_sides_of_the_date_line() -> None:
    north = np.array([[0.0, 1.0]])
    here = route_waves(np.array([[47.0, 180.0]]), north)
    assert here.shape == (1, WAVES)
    np.testing.assert_allclose(route_waves(np.array([[47.0, -180.0]]), north), here, atol=1e-9)
    assert np.abs(route_waves(np.array([[47.5, 180.0]]), north) - here).max() > 0.3
    assert np.abs(route_waves(np.array([[47.0, 180.0]]), north[:, ::-1]) - here).max() > 0.3
