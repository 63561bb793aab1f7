"""The number by which parameters are chosen."""

from __future__ import annotations

import numpy as np
import pytest

from training.fitting.data import Split
from training.fitting.losses import split_loss

X = np.zeros((4, 1), np.float32)
WEIGHT = np.array([1, 1, 0.5, 1.5], np.float32)


def numbers(y: object) -> Split:
    return Split(X, np.array(y, np.float32), WEIGHT)


def test_of_one_number_it_is_the_weighted_absolute_error() -> None:
    split = numbers([[1], [2], [3], [4]])
    outputs = np.array([[1], [0], [5], [4.5]], np.float32)
    assert split_loss(outputs, split) == (0 + 2 + 0.5 * 2 + 1.5 * 0.5) / 4


def test_only_what_is_known_counts() -> None:
    nan = np.nan
    split = numbers([[1, nan], [2, 7], [nan, nan], [nan, 0]])
    outputs = np.array([[2, 100], [2, 5], [50, 50], [50, 2]], np.float32)
    # errors 1, 0, 2, 2 with the weights 1, 1, 1, 1.5
    assert split_loss(outputs, split) == pytest.approx((1 + 0 + 2 + 3) / 4.5)
    with pytest.raises(ZeroDivisionError):
        split_loss(outputs, numbers(np.full((4, 2), nan)))


def test_a_group_counts_by_its_distance_where_all_of_it_is_known() -> None:
    y = np.array([[0, 0, 1], [0, np.nan, 1], [1, 1, np.nan], [2, 2, 2]], np.float32)
    outputs = np.array([[3, 4, 2], [9, 9, 1], [1, 1, 9], [2, 0, 2]], np.float32)
    split = Split(X, y, WEIGHT, groups=((0, 1),))
    # distances 5, 0, 2 with the weights 1, 0.5, 1.5, then errors 1, 0, 0 with 1, 1, 1.5
    assert split_loss(outputs, split) == pytest.approx((5 + 3 + 1) / (3 + 3.5))


def test_of_classes_it_is_the_log_loss() -> None:
    y = np.eye(2, dtype=np.float32)[[0, 1, 1, 0]]
    split = Split(X, y, WEIGHT, "classes")
    outputs = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [1, 0]], np.float32)
    expected = -(np.log(0.9) + np.log(0.5) + 0.5 * np.log(0.8)) / 4
    assert split_loss(outputs, split) == pytest.approx(expected, rel=1e-6)


def test_a_class_called_impossible_costs_much_but_not_all() -> None:
    y = np.eye(2, dtype=np.float32)[[0, 0, 0, 0]]
    outputs = np.tile(np.array([0, 1], np.float32), (4, 1))
    assert split_loss(outputs, Split(X, y, WEIGHT, "classes")) == pytest.approx(np.log(1e6), rel=1e-6)


def test_a_target_that_is_no_table_is_refused() -> None:
    with pytest.raises(ValueError, match=r"y: got the shape \(4,\), expected \(4, outputs\)"):
        numbers([1, 2, 3, 4])
    with pytest.raises(ValueError, match=r"y: got the shape \(3, 1\), expected \(4, outputs\)"):
        numbers([[1], [2], [3]])
