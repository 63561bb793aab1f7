"""Distances of counts that can be worked out by hand, and where the limits of the input detector lie."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from deployments.monitoring.hysteresis import Finding
from deployments.monitoring.input_drift import InputWindow, ReferenceBins, noise_limits
from deployments.monitoring.settings import InputSettings

FloatArray = NDArray[np.float64]


def column(*values: float, times: int = 1) -> FloatArray:
    """One feature."""
    return np.repeat(np.array(values, dtype=np.float64), times)[:, None]


COIN = ReferenceBins(("side",), column(0, 1, times=50))


def distance(bins: ReferenceBins, live: FloatArray) -> float:
    (found,) = bins.distances(bins.counts(live)).tolist()
    return float(found)


def test_rows_come_first_and_each_feature_has_its_counts() -> None:
    assert COIN.width == 1 + 86
    three = ReferenceBins(("a", "b", "c"), np.ones((4, 3)), ("b",))
    assert (three.names, three.width) == (("a", "c"), 1 + 2 * 86)
    counts = three.counts(np.ones((5, 2, 3)))
    assert counts[0] == 5
    assert [counts[1:87].sum(), counts[87:].sum()] == [10, 10]
    unknown = three.counts(np.array([[np.nan, 1, 1], [np.inf, 1, 1], [1, 1, 1]]))
    assert [unknown[0], unknown[1:87].sum(), unknown[87:].sum()] == [3, 1, 3]


@pytest.mark.parametrize(("ones", "expected"), [(5, 0.0), (10, 1.0), (0, 1.0), (7, 0.4)])
def test_distances_are_in_standard_deviations_of_the_reference(ones: int, expected: float) -> None:
    """Half of a coin's throws times a side of 1, over 0.5."""
    assert distance(COIN, column(*[1.0] * ones, *[0.0] * (10 - ones))) == pytest.approx(expected)


def test_distances_from_other_counts_and_of_several_windows() -> None:
    heads, tails = COIN.counts(column(1, times=9)), COIN.counts(column(0, times=3))
    assert COIN.distances(heads, tails).tolist() == pytest.approx([2.0])
    assert COIN.distances(np.stack([heads, tails, heads + tails * 3])).ravel() == pytest.approx([1, 1, 0])
    assert COIN.distances(np.zeros(COIN.width)).tolist() == pytest.approx(COIN.distances(np.zeros(87)))


@pytest.mark.parametrize("values", [64, 65])
def test_of_few_values_distances_are_exact(values: int) -> None:
    reference = np.arange(values, dtype=np.float64)
    live = np.array([0.0, 3.0, 3.0, 40.0])
    expected = wasserstein_distance(reference, live) / reference.std()
    bins = ReferenceBins(("value",), reference[:, None])
    assert distance(bins, live[:, None]) == pytest.approx(expected, rel=1e-12)


def test_between_edges_values_are_even() -> None:
    """A thousand values from 0 to 1, moved by a hundredth; edges are a sixty-fourth apart."""
    reference = np.linspace(0, 1, 1000)
    bins = ReferenceBins(("value",), reference[:, None])
    assert distance(bins, reference[:, None] + 0.01) == pytest.approx(0.01 / reference.std(), rel=0.04)
    half = distance(bins, np.full((1, 1), 0.5))
    assert half == pytest.approx(0.25 / reference.std(), rel=0.04)


@pytest.mark.parametrize(
    ("deviations", "expected"),
    [
        *[(0.1, 0.25), (0.3, 0.5), (0.6, 0.75), (0.9, 1.0), (1.2, 1.5), (1.7, 2.0), (2.5, 3.0), (3.5, 4.0)],
        *[(5, 6), (7, 8), (9, 8), (-0.1, 0), (-0.3, 0.25), (-0.6, 0.5), (-0.9, 0.75), (-1.2, 1.0)],
        *[(-1.7, 1.5), (-2.5, 2.0), (-3.5, 3.0), (-5, 4), (-7, 6), (-9, 8)],
    ],
)
def test_beyond_the_reference_edges_lie_farther_and_farther_apart(deviations: float, expected: float) -> None:
    """Of a constant a thousandth stands for the deviation."""
    bins = ReferenceBins(("constant",), column(3, times=50))
    assert distance(bins, column(3 + deviations / 1000)) == pytest.approx(expected)


def test_a_feature_of_which_the_reference_knows_nothing_has_moved_once_it_is_known() -> None:
    """As if the reference lay beyond the last edge."""
    bins = ReferenceBins(("unknown",), column(np.nan, np.inf))
    assert distance(bins, column(np.nan)) == 0
    assert distance(bins, column(0.0)) == pytest.approx(8.0)
    assert distance(bins, column(-0.0006)) == pytest.approx(8.5)


def test_noise_falls_with_the_rows_of_both() -> None:
    """Of a coin the integral of sqrt(F (1 - F)) is one deviation."""
    assert COIN.noise(100).tolist() == pytest.approx([np.sqrt(1 / 100 + 1 / 100)])
    assert COIN.noise(50, 25).tolist() == pytest.approx([np.sqrt(1 / 50 + 1 / 25)])
    assert COIN.noise(np.array([4.0, 9.0])).shape == (2, 1)
    found = noise_limits(COIN, InputSettings(threshold=0.25), 50, 25)
    assert found.tolist() == pytest.approx([0.25 + 3 * np.sqrt(1 / 50 + 1 / 25)])


def live(bins: ReferenceBins = COIN, **changes: object) -> InputWindow:
    settings = InputSettings.model_validate({"min_rows": 10, "threshold": 0.25, **changes})
    return InputWindow(bins, settings, 60.0)


def test_what_is_found() -> None:
    names = tuple(f"f{number}" for number in range(10))
    reference = np.repeat(column(0, 1, times=50), 10, axis=1)
    window = live(ReferenceBins(names, reference))
    rows = np.zeros((100, 10))
    for number, ones in enumerate((50, 60, 10, 45, 90, 50, 55, 40, 75, 50)):
        rows[:ones, number] = 1
    window.add(5.0, set(), rows)
    found = window.evaluate(9.0, 10.0)
    limit = 0.25 + 3 * np.sqrt(1 / 50)
    assert found.score == pytest.approx(0.8 / limit)
    assert found.reason == (
        "2 of 10 features have moved, most f2: by 0.80 standard deviations, allowed are 0.67"
    )
    evidence = found.evidence
    assert (evidence["window_s"], evidence["rows"], evidence["independent_rows"]) == (10.0, 100, 100.0)
    assert evidence["drifted_share"] == 0.2
    assert len(evidence["distances"]) == len(evidence["limits"]) == 8
    assert list(evidence["distances"].items())[2:3] == [("f8", 0.5)]
    assert set(list(evidence["distances"].items())[:2]) == {("f2", 0.8), ("f4", 0.8)}
    assert set(evidence["limits"].values()) == {round(limit, 4)}
    thirds = live()
    thirds.add(5.0, set(), column(*[1.0] * 10, *[0.0] * 5))
    assert thirds.evaluate(9.0, 10.0).evidence["distances"] == {"side": 0.3333}


@pytest.mark.parametrize(("rows", "known"), [(9, False), (10, True)])
def test_so_many_rows_are_needed(rows: int, known: bool) -> None:
    window = live()
    window.add(5.0, set(), column(0, times=rows))
    found = window.evaluate(5.0, 60.0)
    assert (found.score is not None) == known
    if not known:
        assert found == Finding(None, "9 rows", {"rows": 9})


@pytest.mark.parametrize(("before", "known"), [(9, False), (10, True)])
def test_so_many_rows_are_needed_before_the_longest_window(before: int, known: bool) -> None:
    window = live(against="before")
    window.add(30.0, set(), column(1, times=before))
    window.add(95.0, set(), column(0, times=20))
    found = window.evaluate(95.0, 10.0)
    if known:
        limit = 0.25 + 3 * np.sqrt(1 / 20 + 1 / 10)
        assert found.score == pytest.approx(2.0 / limit)
    else:
        assert found == Finding(None, "9 rows before", {"rows": 20})


def test_a_frozen_reference_is_what_live_rows_are_measured_from() -> None:
    window = live(against="before")
    window.add(30.0, set(), column(1, times=10))
    window.add(95.0, set(), column(0, times=20))
    window.freeze_reference(95.0)
    assert window.reference is not None
    assert window.reference[0] == 10
    window.add(200.0, set(), column(1, times=20))
    assert window.evaluate(200.0, 10.0).score == 0
    window.unfreeze_reference()
    assert window.reference is None
    assert (window.evaluate(200.0, 10.0).score or 0) > 0
    fixed = live()
    fixed.freeze_reference(95.0)
    assert fixed.reference is None


def test_rows_of_an_entity_count_as_so_many_while_they_are_in_the_window() -> None:
    window = live(rows_per_entity=2.5)
    for number, entities in zip(count(), ({"a", "b"}, {"b", "c"}, {"c"})):
        window.add(10.0 * number, entities, column(0, 1, times=10))
    window.add(21.0, {"d"}, column(0, 1, times=10))
    found = [window.evaluate(29.0, window_s).evidence["independent_rows"] for window_s in (10.0, 20.0, 30.0)]
    assert found == [2 * 2.5, 3 * 2.5, 4 * 2.5]
    window.add(30.0, {"e"}, column(0, 1, times=1))
    assert window.evaluate(35.0, 10.0).score is None
    few = live(rows_per_entity=100.0)
    few.add(0.0, {"a"}, column(0, 1, times=10))
    assert few.evaluate(0.0, 10.0).evidence["independent_rows"] == 20


def test_so_many_rows_of_each_ten_seconds_are_admitted() -> None:
    window = live(most_rows_per_s=0.25)
    assert [window.admit(at_s) for at_s in (0.0, 5.0, 9.9, 9.99, 10.0)] == [True, True, True, False, True]
    assert (window.bucket(9.99), window.bucket(10.0), window.bucket(-0.1)) == (0, 1, -1)


@pytest.mark.parametrize(("against", "span_s"), [("reference", 60.0), ("before", 86_400.0)])
def test_how_old_rows_may_be(against: str, span_s: float) -> None:
    assert live(against=against).span_s == span_s
