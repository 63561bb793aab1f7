"""Rolling metrics equal those of evaluation over the same rows; a Monitor that starts anew has the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from deployments.monitoring.measures import Measures, NumberMeasures, make_measures
from deployments.monitoring.rolling_metrics import RollingMetrics
from deployments.monitoring.view import LagBin
from deployments.store import Store, Truth
from deployments.store.monitor_feed import MonitorFeed
from deployments.store.monitored import MonitoredPrediction, MonitoredRepeat, MonitoredTruth
from features.config import load_contract
from features.contract import Contract
from features.targets import TargetSpec
from features.workload import load_workload
from tests.support.clocks import Clock
from tests.support.databases import Databases, clear, one_of
from tests.support.examples import examples
from tests.support.records import row as stored_row
from training.pipeline.evaluation import compute_metrics
from training.runtime.settings import REPOSITORY
from training.runtime.tasks.base import ArmAnswer, Predicted, Task
from training.runtime.tasks.factory import make_task

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HORIZONS = 4
TARGET = TargetSpec(name="apogee_m", unit="m", minimum=0, maximum=1e5)
# no sums: medians, ROC curves, and the counts that make precision and recall
NOT_ROLLING = {"median_ape_percent", "roc_auc"} | {
    f"{sign}_{kind}" for sign in ("true", "false") for kind in ("positives", "negatives")
}


def contract_of(workload: str) -> tuple[Contract, Task]:
    contract = load_contract(REPOSITORY / "configs" / "workloads", workload)
    return contract, make_task(contract, load_workload(contract))


def predicted_of(
    workload: str, rng: np.random.Generator, n: int = 40
) -> tuple[Predicted, NDArray[np.float64]]:
    """Made-up predictions of a task, and truths near them."""
    if workload == "reentry":
        probability = rng.dirichlet([1.0, 1.0], size=n)
        member = (probability >= 0.3).astype(float)
        return Predicted({"probability": probability, "member": member}), rng.integers(0, 2, n).astype(float)
    if workload == "trajectory":
        position = rng.uniform([40, 5, 100], [50, 15, 9000], (n, HORIZONS, 3))
        truth = position + rng.normal(0, [0.01, 0.01, 30], position.shape)
        truth[rng.random((n, HORIZONS)) < 0.2] = np.nan
        truth[:, :, 2][rng.random((n, HORIZONS)) < 0.2] = np.nan
        return Predicted({"position": position, "radius_m": rng.uniform(0, 3000, (n, HORIZONS))}), truth
    predicted = rng.uniform(1, 300, n)
    return Predicted(
        {"prediction": predicted, "lower": predicted - 9, "upper": predicted + 9}
    ), predicted + rng.normal(0, 9, n)


@pytest.mark.parametrize("workload", ["apogee", "calories", "reentry", "trajectory", "weather"])
def test_sums_give_the_metrics_of_evaluation(workload: str) -> None:
    contract, task = contract_of(workload)
    measures: Measures = make_measures(contract.target, task)
    predicted, truth = predicted_of(workload, np.random.default_rng(3))
    parts = [
        measures.sums(one, value) for one, value in zip(task.answers(predicted, 0.9), truth, strict=True)
    ]
    total = np.sum([part for part in parts if part is not None], axis=0)
    expected = compute_metrics(contract.target, truth, predicted)
    got = measures.metrics(total)
    assert got.pop("nominal_coverage") == pytest.approx(0.9)
    if workload == "trajectory":  # only circles whose place became known have a size here
        assert got.pop("mean_radius_m") == pytest.approx(expected.pop("mean_radius_m"), rel=0.1)
    assert got == pytest.approx({k: v for k, v in expected.items() if k not in NOT_ROLLING})
    assert len(total) == len(measures.names)
    assert measures.metrics(np.zeros(len(total))) == {}


def test_a_truth_of_which_nothing_is_known_adds_nothing() -> None:
    for workload, shape in (("apogee", ()), ("reentry", ()), ("trajectory", (HORIZONS, 3))):
        contract, task = contract_of(workload)
        predicted, _ = predicted_of(workload, np.random.default_rng(0))
        measures = make_measures(contract.target, task)
        assert measures.sums(task.answers(predicted, 0.9)[0], np.full(shape, np.nan)) is None


def prediction(seq: int, at: datetime, arm: str = "mlp", value: float = 10.0) -> MonitoredPrediction:
    return MonitoredPrediction(seq, "A", arm, "1", "b", False, at, {"apogee_m": value}, {}, "{}", 0.5)


def pair(at: datetime, lag_s: float, error: float = 1.0, arm: str = "mlp") -> MonitoredTruth:
    received_at = at + timedelta(seconds=lag_s)
    predicted, band = {"apogee_m": 10.0}, {"apogee_m": [8.0, 12.0]}
    return MonitoredTruth(1, arm, "b", at, received_at, predicted, band, 0.9, {"apogee_m": 10.0 + error})


def rolling() -> RollingMetrics:
    return RollingMetrics(TARGET, NumberMeasures(TARGET), late_after_s=600.0)


def update(metrics: RollingMetrics, one: MonitoredTruth) -> None:
    answer = ArmAnswer(one.prediction, one.interval, one.coverage)
    metrics.add_truth(one, answer, TARGET.of_json(one.truth["apogee_m"]))


def test_an_arm_over_a_window() -> None:
    metrics = rolling()
    for number, value in enumerate((10.0, 30.0, 32.0)):
        metrics.add_prediction(prediction(number, NOW - timedelta(seconds=number), value=value))
    metrics.add_prediction(replace(prediction(9, NOW, "linear"), fallback=True, outlier_score=1.0))
    update(metrics, pair(NOW, 5.0, error=1.0))
    update(metrics, pair(NOW, 120.0, error=-3.0))
    found = metrics.window("mlp", NOW, 300.0)
    assert (found.predictions, found.truths) == (3, 2)
    assert found.truth_share == pytest.approx(2 / 3)
    assert found.metrics == pytest.approx(
        {"mae": 2.0, "rmse": 5**0.5, "coverage": 0.5, "nominal_coverage": 0.9, "mean_width": 4.0}
    )
    assert found.mean_prediction == 24.0
    assert [one.count for one in found.histogram] == [1, 1, 1]
    assert [one.from_ for one in found.histogram] == pytest.approx([10.0, 25.12, 31.62])
    assert [one.to for one in found.histogram] == pytest.approx([12.59, 31.62, 39.81])
    assert found.lag == [LagBin(up_to_s=10.0, count=1), LagBin(up_to_s=600.0, count=1)]
    assert (found.mean_lag_s, found.fallback_share, found.outlier_share) == (62.5, 0.0, 0.0)
    other = metrics.window("linear", NOW, 300.0)
    assert (other.fallback_share, other.outlier_share, other.metrics) == (1.0, 1.0, {})
    later = metrics.window("mlp", NOW + timedelta(seconds=400), 300.0)
    assert (later.predictions, later.truth_share, later.mean_prediction) == (0, None, None)
    assert metrics.window("mlp", NOW + timedelta(seconds=400), 3600.0) == found


def test_each_truth_has_one_outcome_and_late_and_early_ones_are_counted() -> None:
    metrics = rolling()
    for lag_s in (5.0, 601.0, 90_000.0, -2.0):
        update(metrics, pair(NOW, lag_s))
    for conflicts in (True, False, False):
        metrics.add_repeat(MonitoredRepeat(1, NOW, conflicts))
    counts = metrics.truth_counts(NOW, 300.0)
    assert counts.model_dump() == {"joined": 4, "late": 2, "early": 1, "repeated": 2, "conflicting": 1}
    lags = metrics.window("mlp", NOW, 300.0).lag
    assert [(one.up_to_s, one.count) for one in lags] == [(1.0, 1), (10.0, 1), (3600.0, 1), (None, 1)]


@pytest.mark.parametrize(
    ("lag_s", "late", "early"),
    [(-0.001, 0, 1), (0.0, 0, 0), (0.001, 0, 0), (599.999, 0, 0), (600.0, 0, 0), (600.001, 1, 0)],
)
def test_where_late_and_early_begin(lag_s: float, late: int, early: int) -> None:
    metrics = rolling()
    update(metrics, pair(NOW, lag_s))
    counts = metrics.truth_counts(NOW, 300.0)
    assert (counts.late, counts.early) == (late, early)
    assert metrics.window("mlp", NOW, 300.0).mean_lag_s == max(lag_s, 0.0)


def read_all(store: MonitorFeed, metrics: RollingMetrics, at: list[int], limit: int) -> list[int]:
    """Read on from the cursors `at`, page by page; the cursors after."""
    while rows := store.predictions("apogee", at[0], limit):
        for row in rows:
            metrics.add_prediction(row)
        at[0] = rows[-1].seq
    while pairs := store.truths("apogee", at[1], limit):
        for one in pairs:
            update(metrics, one)
        at[1] = pairs[-1].seq
    while repeats := store.repeats("apogee", at[2], limit):
        for repeat in repeats:
            metrics.add_repeat(repeat)
        at[2] = repeats[-1].seq
    return at


STEPS = st.lists(
    st.tuples(st.integers(1, 5), st.integers(0, 40_000), st.floats(-5, 5), st.booleans()), max_size=8
)


@pytest.fixture(scope="module")
def clock_and_store(databases: Databases) -> Iterator[tuple[Clock, Store]]:
    """For examples that clear it."""
    clock = Clock(NOW)
    with one_of(databases) as url, closing(Store(url, clock)) as store:
        yield clock, store


@settings(max_examples=examples(6))
@given(steps=STEPS)
def test_a_monitor_that_starts_anew_has_the_same_metrics(
    clock_and_store: tuple[Clock, Store], steps: Sequence[tuple[int, int, float, bool]]
) -> None:
    """Predictions and truths come in any order while one Monitor reads on; another reads after it all."""
    clock, store = clock_and_store
    clear(store)
    reader = store.monitor_feed
    lasting, cursors, number = rolling(), [0, 0, 0], 0
    for count, pause_s, error, truth_first in steps:
        clock.now += timedelta(seconds=pause_s)
        ids = [str(number + i) for i in range(count)]
        number += count
        rows = [stored_row(0)._replace(id=id_, created_at=clock.now) for id_ in ids]
        truths = [Truth(id_, {"apogee_m": 1.0 + error}) for id_ in (*ids, ids[0])]
        if truth_first:
            store.write_truths("apogee", truths)
            clock.now += timedelta(seconds=3)
        store.write_predictions(rows)
        if not truth_first:
            store.write_truths("apogee", truths)
        cursors = read_all(reader, lasting, cursors, limit=2)
    since = clock.now - timedelta(days=1)
    start = reader.cursors_at("apogee", since)
    anew = rolling()
    read_all(reader, anew, [start.predictions, start.joins, start.repeats], limit=1000)
    for window_s in (300.0, 3600.0, 86_400.0):
        assert anew.truth_counts(clock.now, window_s) == lasting.truth_counts(clock.now, window_s)
        for arm in lasting.arms:
            assert anew.window(arm, clock.now, window_s) == lasting.window(arm, clock.now, window_s)
    assert store.counts("apogee").repeated == len(steps)


def test_cursors_lie_before_all_that_was_written_since(store_url: str) -> None:
    store = Store(store_url)
    times = [NOW + timedelta(hours=hour) for hour in range(48)]
    store.write_predictions(
        [stored_row(i)._replace(created_at=at) for i, at in enumerate(times)]
        + [stored_row(i)._replace(workload="other", created_at=at) for i, at in enumerate(times)]
    )
    reader = store.monitor_feed
    for hour in (0, 1, 24, 47, 48):
        after = reader.cursors_at("apogee", NOW + timedelta(hours=hour)).predictions
        rows = reader.predictions("apogee", after)
        assert [row.created_at for row in rows] == times[hour:]
    assert reader.cursors_at("apogee", NOW).joins == 0
    store.close()
