import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deployments.inference.ensemble_weights import RollingErrors

PAIR = ("one", "other")


def after(one: float, other: float, times: int = 30) -> RollingErrors:
    errors = RollingErrors()
    for _ in range(times):
        errors.add("one", one)
        errors.add("other", other)
    return errors


def test_shares_are_inverse_to_the_mean_squared_errors() -> None:
    assert after(1.0, 2.0).weights(PAIR, 30, 30).tolist() == pytest.approx([0.8, 0.2])
    mixed = after(3.0, 5.0, 29)
    mixed.add("one", 0.0)
    mixed.add("other", 0.0)
    assert mixed.weights(PAIR, 30, 30).tolist() == pytest.approx([25 / 34, 9 / 34])


def test_shares_are_equal_until_every_member_has_enough_truths() -> None:
    errors = after(1.0, 2.0, 29)
    errors.add("one", 1.0)
    assert errors.weights(PAIR, 500, 30).tolist() == [0.5, 0.5]
    errors.add("other", 2.0)
    assert errors.weights(PAIR, 500, 30).tolist() == pytest.approx([0.8, 0.2])
    assert errors.weights((*PAIR, "new"), 500, 30).tolist() == pytest.approx([1 / 3] * 3)


def test_only_the_last_errors_of_the_window_count() -> None:
    errors = after(100.0, 2.0, 40)
    for _ in range(10):
        errors.add("one", 1.0)
    assert errors.weights(PAIR, 10, 5).tolist() == pytest.approx([0.8, 0.2])
    assert errors.weights(PAIR, 11, 5)[0] < 0.01


def test_a_member_without_errors_has_not_all_of_the_say() -> None:
    assert after(0.0, 1.0).weights(PAIR, 30, 30).tolist() == pytest.approx([10000 / 10001, 1 / 10001])
    assert after(0.0, 0.0).weights(PAIR, 30, 30).tolist() == [0.5, 0.5]


def test_what_is_unknown_or_old_is_not_kept() -> None:
    errors = RollingErrors(most=3, models=2)
    for error in (np.nan, np.inf, 1.0, 2.0, 3.0, 4.0):
        errors.add("one", error)
    assert errors.truths("one") == 3
    for bundle in ("two", "one", "three"):
        errors.add(bundle, 1.0)
    assert [errors.truths(bundle) for bundle in ("one", "two", "three")] == [3, 0, 1]


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=5), st.integers(1, 40))
@example([0.0, 8.6e-154], 10)
@example([0.0, 2.3e-162], 10)
def test_shares_sum_to_one_and_rank_as_the_errors_do(levels: list[float], truths: int) -> None:
    errors = RollingErrors()
    names = [str(number) for number in range(len(levels))]
    for name, level in zip(names, levels, strict=True):
        for _ in range(truths):
            errors.add(name, level)
    weights = errors.weights(names, 20, 10)
    assert weights.sum() == pytest.approx(1.0)
    assert (weights > 0).all()
    if truths >= 10:
        ranked = weights[np.argsort(levels)]
        assert (np.diff(ranked) <= 1e-12).all()
