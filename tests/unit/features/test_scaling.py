"""Scalers that fit the same however the rows were partitioned."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from features.scaling import Moments, StandardScaler

NAMES = ("a", "b", "c")
FINITE = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.floats(-1e150, 1e150)
MATRICES = hnp.arrays(np.float64, st.tuples(st.integers(1, 30), st.just(3)), elements=VALUES)


@given(MATRICES, st.data())
def test_any_partition_in_any_order_fits_the_same(matrix: np.ndarray, data: Any) -> None:
    order = data.draw(st.permutations(range(len(matrix))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(matrix)), max_size=4)))
    parts = [Moments.of(part) for part in np.split(matrix[order], cuts)]
    whole = StandardScaler.fit(NAMES, [Moments.of(matrix)])
    assert StandardScaler.fit(NAMES, data.draw(st.permutations(parts))) == whole


@given(hnp.arrays(np.float64, st.tuples(st.integers(0, 20), st.just(1)), elements=FINITE))
def test_moments_are_exact(matrix: np.ndarray) -> None:
    moments = Moments.of(matrix)
    exact = [Fraction(float(v)) for v in matrix[:, 0]]
    assert Fraction(moments.totals[0], 2**1126) == sum(exact)
    assert Fraction(moments.squares[0], 2**2252) == sum(v * v for v in exact)


@given(MATRICES)
def test_json_brings_back_every_bit(matrix: np.ndarray) -> None:
    scaler = StandardScaler.fit(NAMES, [Moments.of(matrix)])
    again = StandardScaler.model_validate_json(scaler.model_dump_json())
    assert again == scaler
    np.testing.assert_array_equal(again.transform(matrix), scaler.transform(matrix))


def test_pinned_numbers() -> None:
    scaler = StandardScaler.fit(
        ("x", "y"), [Moments.of(np.array([[1.0, 10.0], [2.0, 10.0]])), Moments.of(np.array([[6.0, 10.0]]))]
    )
    assert scaler.mean == (3.0, 10.0)
    assert scaler.scale == pytest.approx((np.sqrt(14 / 3), 1.0), rel=1e-15)
    assert scaler.count == 3


def test_no_cancellation_far_from_zero() -> None:
    column = 1e9 + np.array([[0.0], [1.0], [2.0]])
    assert StandardScaler.fit(("x",), [Moments.of(column)]).scale[0] == pytest.approx(
        np.sqrt(2 / 3), rel=1e-15
    )


@pytest.mark.parametrize("value", [0.0, 0.1, -90.0, 101325.3])
def test_constant_columns_keep_their_scale(value: float) -> None:
    column = np.full((7, 1), value)
    scaler = StandardScaler.fit(("x",), [Moments.of(column)])
    assert scaler.scale == (1.0,)
    np.testing.assert_allclose(scaler.transform(column), 0, atol=1e-12)


def test_rounding_noise_counts_as_constant() -> None:
    column = np.array([[0.1 + 0.2], [0.3], [0.3]])
    assert StandardScaler.fit(("x",), [Moments.of(column)]).scale == (1.0,)


def test_inverse_undoes_transform() -> None:
    matrix = np.random.default_rng(0).normal(5, [1e-6, 1.0, 1e6], (50, 3))
    scaler = StandardScaler.fit(NAMES, [Moments.of(matrix)])
    np.testing.assert_allclose(scaler.inverse(scaler.transform(matrix)), matrix, rtol=1e-12)
    np.testing.assert_allclose(scaler.transform(matrix).std(axis=0), 1, rtol=1e-12)


@pytest.mark.parametrize("shape", [(4, 2), (4, 4), (3,)])
def test_another_width_is_refused(shape: tuple[int, ...]) -> None:
    scaler = StandardScaler.fit(NAMES, [Moments.of(np.eye(3))])
    for call in (scaler.transform, scaler.inverse):
        with pytest.raises(ValueError, match=r"expected \(n, 3\)"):
            call(np.zeros(shape))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="column 1, row 2"):
        Moments.of(np.array([[0, 0], [0, 0], [0, value]]))


def test_nothing_fits_nothing() -> None:
    with pytest.raises(ValueError, match="rows: got 0"):
        StandardScaler.fit(NAMES, [])
    with pytest.raises(ValueError, match="columns: got 2, expected 3"):
        StandardScaler.fit(NAMES, [Moments.of(np.zeros((1, 2)))])
