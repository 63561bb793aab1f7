"""What one arm counts and learns of each truth, and what it goes on from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from deployments.monitoring.arm_monitor import ArmMemory, ArmMonitor, ServedBundle
from deployments.monitoring.concept import Baseline
from deployments.monitoring.settings import CalibrationSettings, ConceptSettings, MonitoringSettings
from features.targets import TargetSpec
from tests.support.regions import Plain
from training.runtime.tasks.base import ArmAnswer
from training.runtime.tasks.intervals import IntervalCalibration
from training.runtime.tasks.regression import RegressionTask

AREA = TargetSpec(name="area_m2", unit="m2", minimum=-1000, maximum=1000)
CALIBRATION = IntervalCalibration(
    coverage=0.9, knots=(0.0,), scales=(1.0,), levels=(0.5, 0.9), scores=(1.0, 2.0)
)
SERVED = ServedBundle("sha256:0", CALIBRATION)
ENSEMBLE = ServedBundle("sha256:1", None)
SETTINGS = MonitoringSettings(
    concept=ConceptSettings(batch=1, warmup_batches=10),
    calibration=CalibrationSettings(min_truths=10),
    level_step=0.02,
)
ANSWER = ArmAnswer({"area_m2": 50.0}, {"area_m2": [48.0, 52.0]}, 0.9)
# truths, regions, inside, nominal, size, and what a task has beside them
MEASURED = np.array([1.0, 1.0, 0.0, 0.9, 4.0, 7.0, 49.0])


def arm(served: ServedBundle = SERVED, memory: ArmMemory | None = None) -> ArmMonitor:
    return ArmMonitor(served, RegressionTask(AREA, Plain()), SETTINGS, memory)


def coverage(monitor: ArmMonitor) -> float:
    """Of ten truths or more."""
    return float(monitor.evaluate_calibration(0.0, 60.0).evidence["coverage"])


@pytest.mark.parametrize(
    ("served", "level", "error", "held"),
    [
        # at its nominal level it counts as it was served
        (SERVED, None, 1.0, 0.0),
        (ENSEMBLE, 0.5, 1.0, 0.0),
        # made at half, a band is half as wide as the nominal one would be
        (SERVED, 0.5, 3.9, 1.0),
        (SERVED, 0.5, 4.1, 0.0),
        (SERVED, 0.9, 1.9, 1.0),
        (SERVED, 0.9, 2.1, 0.0),
    ],
)
def test_a_truth_counts_as_the_nominal_region_would_have_held_it(
    served: ServedBundle, level: float | None, error: float, held: float
) -> None:
    monitor = arm(served)
    answer, measured = ANSWER._replace(level=level), MEASURED.copy()
    for _ in range(10):
        monitor.count_truth(0.0, answer, np.array(50.0 + error), measured)
    assert coverage(monitor) == held
    assert measured.tolist() == MEASURED.tolist(), "the sums are somebody else's too"


def test_what_was_served_counts_by_its_regions() -> None:
    """Of a path several regions may hold; here two of four."""
    monitor, sums = arm(), np.array([1.0, 4.0, 2.0, 3.6, 4.0])
    for _ in range(10):
        monitor.count_truth(0.0, ANSWER, np.array(50.0), sums)
    assert coverage(monitor) == 0.5
    adapted = arm()
    for _ in range(10):
        adapted.count_truth(0.0, ANSWER._replace(level=0.9), np.array(50.0), sums)
    assert coverage(adapted) == 1.0


def test_truths_leave_the_window() -> None:
    monitor = arm()
    for at_s in range(12):
        monitor.count_truth(float(at_s), ANSWER, np.array(50.0), MEASURED)
    assert monitor.evaluate_calibration(11.0, 20.0).evidence["truths"] == 12
    assert monitor.evaluate_calibration(11.0, 10.0).evidence == {"truths": 2}


def test_a_truth_teaches_the_loss_and_the_level() -> None:
    """A region at the level that is held now, and not at the one that was served."""
    monitor = arm()
    monitor.learn(ANSWER, np.array(53.0))
    assert monitor.level is not None
    assert (monitor.level.nominal, monitor.level.truths, monitor.level.served) == (0.9, 1, True)
    assert monitor.level.level == pytest.approx(0.9 + 0.02 * 0.9, abs=1e-9)
    monitor.learn(ANSWER, np.array(50.0))
    assert monitor.level.level == pytest.approx(0.9 + 0.02 * (0.9 - 0.1), abs=1e-9)
    assert monitor.drift.evaluate().evidence == {"batches": 2}


def test_an_ensemble_has_a_loss_and_no_level() -> None:
    monitor = arm(ENSEMBLE)
    for number in range(10):
        monitor.learn(ANSWER, np.array(51.0 + number % 2))
    assert monitor.level is None
    assert monitor.drift.evaluate().evidence["normal_loss"] == 1.5
    memory = monitor.memory()
    assert (memory.bundle, memory.miss, memory.truths) == ("sha256:1", None, 0)
    assert arm(ENSEMBLE, memory).memory() == memory


def test_a_truth_of_which_nothing_is_known_does_not_move_the_level() -> None:
    monitor = arm()
    monitor.learn(ANSWER, np.array(np.nan))
    assert monitor.memory() == arm().memory()
    assert monitor.drift.evaluate().evidence == {"batches": 0}


def test_a_memory_is_gone_on_from_by_its_own_bundle_alone() -> None:
    members = {"mean": 1.5, "deviation": 0.5, "by": "ADWIN", "peak": 3.0}
    memory = ArmMemory("sha256:0", members, 0.25, 70)
    monitor = arm(memory=memory)
    assert monitor.memory() == memory
    assert monitor.drift.baseline == Baseline(1.5, 0.5, "ADWIN", 3.0)
    assert monitor.level is not None
    assert (monitor.level.level, monitor.level.truths) == (0.75, 70)
    new = arm(memory=replace(memory, bundle="sha256:9"))
    assert new.memory() == arm().memory()
    fresh = arm().memory()
    assert (fresh.bundle, fresh.baseline, fresh.truths) == ("sha256:0", None, 0)
    assert fresh.miss == pytest.approx(0.1)
    began = arm(memory=ArmMemory("sha256:0", None, None, 0))
    assert began.drift.baseline is None
    assert began.memory() == arm().memory()
