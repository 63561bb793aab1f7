"""After how many truths a rise of the loss is found, and when it is over."""

from __future__ import annotations

import numpy as np
import pytest

from deployments.monitoring.concept import Baseline, LossDriftDetector
from deployments.monitoring.settings import ConceptSettings


def losses(seed: int, truths: int, mean: float = 1.0) -> list[float]:
    values: list[float] = np.random.default_rng(seed).exponential(mean, truths).tolist()
    return values


def fire(drift: LossDriftDetector, stream: list[float]) -> int | None:
    """Truths until it fires."""
    for number, loss in enumerate(stream, start=1):
        drift.add(loss)
        if drift.evaluate().score == 1:
            return number
    return None


@pytest.mark.parametrize(
    ("rise", "truths", "by"),
    [(2.0, 140, "Page-Hinkley"), (1.3, 1100, "Page-Hinkley"), (4.0, 60, "Page-Hinkley")],
)
def test_a_rise_of_the_loss_fires_after_so_many_truths(rise: float, truths: int, by: str) -> None:
    drift = LossDriftDetector(ConceptSettings())
    assert fire(drift, losses(1, 20_000)) is None
    assert fire(drift, losses(2, 5_000, rise)) == truths
    found = drift.evaluate()
    assert found.evidence["by"] == by
    assert found.reason.endswith(f", normal is 1.008, a rise found by {by}")


def test_adwin_fires_where_page_hinkley_is_set_to_wait() -> None:
    drift = LossDriftDetector(ConceptSettings(threshold=1e9))
    assert fire(drift, losses(1, 20_000)) is None
    assert fire(drift, losses(2, 5_000, 1.5)) == 860
    assert drift.evaluate().evidence["by"] == "ADWIN"


def test_a_fall_of_the_loss_is_no_drift_and_a_rise_is_over_when_the_loss_is_back() -> None:
    drift = LossDriftDetector(ConceptSettings())
    assert fire(drift, losses(1, 5_000)) is None
    assert fire(drift, losses(2, 5_000, 0.3)) is None
    assert fire(drift, losses(3, 5_000, 3.0)) is not None
    for loss in losses(4, 3_000, 3.0):
        drift.add(loss)
    assert drift.evaluate().score == 1
    for loss in losses(5, 400):
        drift.add(loss)
    assert drift.evaluate().score == 0


def test_losses_without_a_spread_or_a_value() -> None:
    drift = LossDriftDetector(ConceptSettings(batch=1, warmup_batches=10), None)
    for loss in [0.0] * 9 + [np.nan, np.inf]:
        drift.add(loss)
    assert drift.evaluate().score is None
    drift.add(0.0)
    assert drift.evaluate().score == 0
    assert fire(drift, [0.1] * 9) == 4


def test_what_is_normal_can_be_given() -> None:
    drift = LossDriftDetector(ConceptSettings(), Baseline(1.0, 0.22, by="ADWIN", peak=4.0))
    assert drift.evaluate().score == 1
    for loss in losses(1, 300):
        drift.add(loss)
    assert drift.evaluate().score == 0
