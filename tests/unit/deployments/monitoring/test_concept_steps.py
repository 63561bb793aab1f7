"""The detector of the loss, batch by batch: what its baseline is, and where each limit lies."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from statistics import stdev

import numpy as np
import pytest

from deployments.monitoring.concept import Baseline, LossDriftDetector
from deployments.monitoring.hysteresis import Finding
from deployments.monitoring.settings import ConceptSettings

SETTINGS = ConceptSettings(batch=1, warmup_batches=10, settle_batches=4, threshold=25.0, least_rise=0.0)


def detector(losses: Iterable[float] = (), **changes: object) -> LossDriftDetector:
    found = LossDriftDetector(SETTINGS.model_copy(update=changes))
    for loss in losses:
        found.add(loss)
    return found


def known(changes: Mapping[str, object] | None = None) -> LossDriftDetector:
    return LossDriftDetector(SETTINGS.model_copy(update=changes), Baseline(10.0, 2.0))


def baseline(losses: Iterable[float]) -> tuple[float, float]:
    found = detector(losses).baseline
    assert found is not None
    assert (found.by, found.peak) == ("", 0.0)
    return found.mean, found.deviation


def test_a_batch_is_the_mean_of_so_many_finite_losses() -> None:
    found = detector([1.0, math.nan, math.inf], batch=2)
    assert found.evaluate() == Finding(None, "the baseline is not complete", {"batches": 0})
    found.add(3.0)
    assert found.evaluate().evidence == {"batches": 1}
    for _ in range(18):
        assert found.baseline is None
        found.add(2.0)
    assert found.baseline is not None
    assert found.baseline.mean == 2.0


def test_the_deviation_of_a_baseline_counts_that_batches_resemble_the_one_before() -> None:
    apart = [1.0, 3.0] * 5
    assert baseline(apart) == pytest.approx((2.0, stdev(apart)))
    waves = [1.0, 1.0, 1.0, 1.0, 1.0, 3.0, 3.0, 3.0, 3.0, 3.0]
    # eight of nine neighbours are alike: 7 over 10
    assert baseline(waves) == pytest.approx((2.0, stdev(waves) * math.sqrt(1.7 / 0.3)))
    slow = np.linspace(0.0, 1.0, 400).tolist()
    found = detector(slow, warmup_batches=400).baseline
    assert found is not None
    # at most as if nine tenths were kept
    assert found.deviation == pytest.approx(stdev(slow) * math.sqrt(19))


def test_losses_without_a_spread_have_a_thousandth_of_their_size() -> None:
    assert baseline([5.0] * 10) == pytest.approx((5.0, 0.005))
    assert baseline([0.0] * 10) == (0.0, 1e-12)


def test_the_evidence_is_in_the_unit_of_the_loss() -> None:
    one = known()
    assert one.evaluate() == Finding(
        0.0,
        "mean loss 10, normal is 10",
        {"normal_loss": 10.0, "recent_loss": 10.0, "rise_in_deviations": 0.0, "by": ""},
    )
    for loss in (12.0, 13.0):
        one.add(loss)
    assert one.evaluate().evidence == {
        "normal_loss": 10.0,
        "recent_loss": 12.5,
        "rise_in_deviations": 1.25,
        "by": "",
    }
    for loss in (99.0, 10.0, 8.0, 8.0):
        one.add(loss)
    # of the last four; one wild batch counts as ten deviations
    assert one.evaluate().evidence["rise_in_deviations"] == (10 + 0 - 1 - 1) / 4


def first(one: LossDriftDetector, losses: Iterable[float]) -> int | None:
    """Batches until it fires."""
    for number, loss in enumerate(losses, start=1):
        one.add(loss)
        if one.evaluate().score == 1.0:
            return number
    return None


@pytest.mark.parametrize(
    ("changes", "batches"),
    [
        ({}, 17),  # of two deviations one and a half count
        ({"threshold": 12.0}, 9),
        ({"slack": 1.0}, 26),
        ({"least_rise": 0.2}, 26),
    ],
)
def test_after_how_many_batches_a_rise_of_two_deviations_is_found(
    changes: dict[str, object], batches: int
) -> None:
    """A fifth of a normal loss of 10 is one deviation of 2."""
    assert first(known({"warmup_batches": 1000, **changes}), [14.0] * 100) == batches


def drifting() -> LossDriftDetector:
    one = known({"warmup_batches": 1000})
    assert first(one, [14.0] * 100) is not None
    return one


def test_a_rise_is_over_when_a_third_of_it_is_not_left_in_so_many_batches() -> None:
    """Its mean counts from where it was found; the limit is 0.3 of two deviations, or their noise, 1."""
    one = drifting()
    for loss in (10.0, 10.0):
        one.add(loss)
    assert one.evaluate().score == 1.0, "three batches are too few"
    one.add(10.0)
    assert one.evaluate() == Finding(
        0.0,
        "mean loss 11, normal is 10",
        {"normal_loss": 10.0, "recent_loss": 11.0, "rise_in_deviations": 0.5, "by": ""},
    )
    assert one.baseline == Baseline(10.0, 2.0)


@pytest.mark.parametrize(("after", "score"), [(11.99, 0.0), (12.0, 1.0)])
def test_what_is_left_of_a_small_rise_is_compared_with_the_noise(after: float, score: float) -> None:
    one = drifting()
    for _ in range(4):
        one.add(after)
    assert one.evaluate().score == score


@pytest.mark.parametrize(("after", "score"), [(15.8, 0.0), (16.2, 1.0)])
def test_what_is_left_of_a_large_rise_is_compared_with_its_peak(after: float, score: float) -> None:
    """Of ten deviations three."""
    one = known()
    assert first(one, [30.0] * 9) is not None
    for _ in range(4):
        one.add(30.0)
    for _ in range(4):
        one.add(after)
    assert one.evaluate().score == score


def test_one_that_is_over_can_begin_again() -> None:
    one = drifting()
    for _ in range(4):
        one.add(10.0)
    assert one.evaluate().score == 0.0
    assert first(one, [14.0] * 100) == 17


def test_a_rise_is_named_by_what_found_it() -> None:
    one = drifting()
    assert one.evaluate().evidence["by"] == "Page-Hinkley"
    assert one.evaluate().reason == "mean loss 14, normal is 10, a rise found by Page-Hinkley"


@pytest.mark.parametrize(("loss", "fires"), [(11.0, False), (11.01, True), (9.0, False)])
def test_what_adwin_finds_is_a_rise_beyond_the_slack(loss: float, fires: bool) -> None:
    """Half a deviation of 2; without it a fall would be a drift as well."""
    one = known({"threshold": 1e9, "delta": 0.002})
    found = first(one, [*[10.0] * 500, *[loss] * 500])
    assert (found is not None) == fires
    if fires:
        assert one.evaluate().evidence["by"] == "ADWIN"
