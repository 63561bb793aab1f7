"""Regions served at the level that the truths ask for, and what is told about the bundle meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.monitoring.arm_monitor import ArmMonitor, ServedBundle
from deployments.monitoring.measures import COMMON, make_measures
from deployments.monitoring.settings import MonitoringSettings
from tests.support.regions import Answered, classes, logarithms, numbers, paths
from training.runtime.tasks.base import ArmAnswer

FloatArray = NDArray[np.float64]
Make = Callable[..., Answered]

CALM, PAGE, RATE_HZ = 1000, 20, 20.0
SEEDS = (0, 1, 2)
MAKES = (numbers, logarithms, classes, paths)


@dataclass(frozen=True)
class Outcome:
    """What became of answers, one after the other.

    Attributes:
        held: (n,) share of the regions of each that held, NaN where nothing became known.
        monitor: of the arm, after all truths.
    """

    held: FloatArray
    monitor: ArmMonitor

    def coverage(self, begin: int, end: int) -> float:
        return float(np.nanmean(self.held[begin:end]))


def serve(
    make: Make, seed: int, spread: float, *, delay: int = 0, rows: int = 2000, serves: bool = True
) -> Outcome:
    """Answers of an arm whose errors grow after `CALM`; truths come so many answers later, levels by page."""
    rng = np.random.default_rng(seed)
    known = make(rng, 3000)
    task = known.task
    calibration = task.calibrate(known.outputs, known.truth, known.anchors, 0.9)
    parts = (make(rng, CALM), make(rng, rows - CALM, spread))
    outputs, truth = (np.concatenate([getattr(one, name) for one in parts]) for name in ("outputs", "truth"))
    settings = MonitoringSettings(serve_levels=serves)
    monitor = ArmMonitor(ServedBundle("sha256:0", calibration), task, settings)
    measures, held = make_measures(known.target, task), np.full(rows, np.nan)
    waiting: deque[tuple[int, ArmAnswer]] = deque()
    numbered = count()
    for begin in range(0, rows, PAGE):
        page = slice(begin, begin + PAGE)
        level = monitor.level.level if serves and monitor.level else None
        predicted = task.predict(outputs[page], np.zeros((PAGE, 1)), calibration, level)
        for answer in task.answers(predicted, 0.9):
            waiting.append((next(numbered), answer._replace(level=level)))
            if len(waiting) <= delay:
                continue
            at, labelled = waiting.popleft()
            measured = measures.sums(labelled, truth[at])
            if measured is None:
                continue
            held[at] = measured[COMMON.index("inside")] / measured[COMMON.index("regions")]
            monitor.count_truth(at / RATE_HZ, labelled, truth[at], measured)
            monitor.learn(labelled, truth[at])
    return Outcome(held, monitor)


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("spread", [1.5, 3.0])
def test_served_regions_hold_what_they_should_soon_after_a_step_in_noise(make: Make, spread: float) -> None:
    """In the mean over seeds: 500 truths of one tell a share to 1.3 points."""
    served = [serve(make, seed, spread) for seed in SEEDS]

    def coverage(begin: int) -> float:
        return float(np.mean([one.coverage(CALM + begin, CALM + begin + 500) for one in served]))

    assert coverage(-500) == pytest.approx(0.9, abs=0.01)
    # here the step itself, and levels that are a page old, are in
    assert coverage(0) == pytest.approx(0.9, abs=0.03 if spread < 2 else 0.06)
    assert coverage(500) == pytest.approx(0.9, abs=0.03)


@pytest.mark.parametrize("spread", [1.5, 3.0])
def test_truths_that_come_late_put_off_what_they_teach_and_no_more(spread: float) -> None:
    served = [serve(numbers, seed, spread, delay=300, rows=2600) for seed in SEEDS]
    late = CALM + 300
    assert np.mean([one.coverage(CALM, late) for one in served]) < 0.8
    assert np.mean([one.coverage(late + 500, late + 1000) for one in served]) == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("make", MAKES)
def test_the_calibration_of_the_bundle_is_measured_as_if_nothing_were_adapted(make: Make) -> None:
    """Otherwise regions that are right by now would hide that the model is not."""
    served, nominal = (serve(make, 0, 3.0, serves=serves) for serves in (True, False))
    (found, expected) = (one.monitor.evaluate_calibration(2000 / RATE_HZ, 40.0) for one in (served, nominal))
    assert served.coverage(1500, 2000) > nominal.coverage(1500, 2000) + 0.06
    assert found == expected
    assert found.evidence["coverage"] < 0.82
    assert served.monitor.level is not None
    assert nominal.monitor.level is not None
    assert (served.monitor.level.served, nominal.monitor.level.served) == (True, False)
    # what a truth teaches does not depend on the level of the region that it was held against
    assert served.monitor.level.level == nominal.monitor.level.level
