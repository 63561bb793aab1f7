"""Whether a region of another level would have held a truth, held against regions that are made at it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from deployments.monitoring.coverage_at_level import coverage_at_level, widened_band
from tests.support.regions import Answered, classes, logarithms, numbers, paths
from training.pipeline.evaluation import region_metrics
from training.runtime.tasks.base import Predicted

ROWS = 400
LEVELS = (0.5, 0.8, 0.97, 0.999)
MADE_AT = (None, 0.7, 0.9995)


@pytest.mark.parametrize("make", [numbers, logarithms, classes, paths])
@pytest.mark.parametrize("made_at", MADE_AT)
@pytest.mark.parametrize("level", LEVELS)
def test_a_level_holds_what_regions_made_at_it_hold(
    make: Callable[..., Answered], made_at: float | None, level: float
) -> None:
    """Whatever the level at which the answer had its region."""
    known, new = make(np.random.default_rng(4), ROWS), make(np.random.default_rng(5), ROWS)
    task = known.task
    calibration = task.calibrate(known.outputs, known.truth, known.anchors, 0.9)
    answers = task.answers(task.predict(new.outputs, new.anchors, calibration, made_at), 0.9)
    made = task.predict(new.outputs, new.anchors, calibration, level)
    for row, (answer, value) in enumerate(zip(answers, new.truth, strict=True)):
        found = coverage_at_level(level, task, calibration, answer._replace(level=made_at), value)
        if np.isnan(value).all():
            assert found is None
            continue
        alone = Predicted({name: array[row : row + 1] for name, array in made.arrays.items()})
        expected = region_metrics(new.target, new.truth[row : row + 1], alone)["coverage"]
        assert found == pytest.approx(expected)


def test_a_band_is_widened_where_the_model_learns() -> None:
    limits = (0.0, 1e9)
    assert widened_band((90, 100, 110), 3.0, limits) == (70, 130)
    # by its logarithm: a factor of 2 each way becomes one of 8
    assert widened_band((50, 100, 200), 3.0, limits) == pytest.approx((12.5, 800))
    assert widened_band((12.5, 100, 800), 1 / 3, limits) == pytest.approx((50, 200))
    assert widened_band((50, 100, 200), 1e6, limits)[1] > 1e200


def test_of_a_band_that_was_cut_the_larger_side_counts() -> None:
    assert widened_band((0, 100, 400), 0.5, (0.0, 1e9)) == (-50, 250)
    assert widened_band((100, 100, 100), 5.0, (0.0, 1e9)) == (100, 100)
