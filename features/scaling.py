"""Standard scaling whose fit is the same, bit for bit, however the rows were shared among workers.

`Moments` holds the count, the sum and the sum of squares of each column exactly, as integers, so merging
them is plain integer addition: associative, commutative and without rounding. The mean and the variance
are rounded once, at the end. (A merge of floating mean and M2 as in Chan, Golub and LeVeque 1979,
"Updating formulae and a pairwise algorithm for computing sample variances", agrees with it only to rounding.)
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

FloatArray = NDArray[np.float64]

# A finite float64 is an integer of at most 53 bits times 2**(e - 53), where np.frexp's e is at least -1073.
_MANTISSA_BITS = 53
_LOWEST_EXPONENT = -1073
_UNIT_BITS = _MANTISSA_BITS - _LOWEST_EXPONENT
_LIMB_BITS = 27
_LIMB_MASK = (1 << _LIMB_BITS) - 1
# A column that varies by less than this share of its mean varies by rounding only.
_CONSTANT_BELOW = 2.0**-40
# The sum of this many limbs of 27 bits is still exact in a float64.
_CHUNK_ROWS = 1 << 25


@dataclass(frozen=True)
class Moments:
    """Exact count, sums and sums of squares of the columns of a matrix.

    Attributes:
        count: rows seen.
        totals: sum of each column, in units of 2**-1126.
        squares: sum of squares of each column, in units of 2**-2252.
    """

    count: int
    totals: tuple[int, ...]
    squares: tuple[int, ...]

    @classmethod
    def of(cls, matrix: FloatArray) -> Self:
        """Return the moments of the rows of `matrix`, (n, columns), or of the steps of (n, steps, columns).

        Raises:
            ValueError: a value is not finite.
        """
        matrix = matrix.reshape(-1, matrix.shape[-1])
        rows, columns = matrix.shape
        if not np.isfinite(matrix).all():
            row, column = np.argwhere(~np.isfinite(matrix))[0]
            raise ValueError(
                f"column {column}, row {row}: got {matrix[row, column]}, expected a finite number"
            )
        totals, squares = [0] * columns, [0] * columns
        for start in range(0, rows, _CHUNK_ROWS):
            for column in range(columns):
                total, square = _exact_sums(matrix[start : start + _CHUNK_ROWS, column])
                totals[column] += total
                squares[column] += square
        return cls(rows, tuple(totals), tuple(squares))

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of both sets of rows together.

        Raises:
            ValueError: they have not the same number of columns.
        """
        if len(self.totals) != len(other.totals):
            raise ValueError(f"columns: got {len(other.totals)}, expected {len(self.totals)}")
        return Moments(
            self.count + other.count,
            tuple(a + b for a, b in zip(self.totals, other.totals, strict=True)),
            tuple(a + b for a, b in zip(self.squares, other.squares, strict=True)),
        )


class StandardScaler(BaseModel):
    """(x - mean) / scale by column, and back. Constant columns have scale 1.

    As JSON (`model_dump_json`, `model_validate_json`) it comes back bit for bit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: tuple[str, ...] = Field(description="columns, in order")
    mean: tuple[FiniteFloat, ...] = Field(description="mean of each column")
    scale: tuple[FiniteFloat, ...] = Field(description="standard deviation (divisor n) of each column, or 1")
    count: int = Field(ge=1, description="rows that it was fitted on")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not len(self.names) == len(self.mean) == len(self.scale):
            lengths = f"{len(self.mean)} means and {len(self.scale)} scales"
            raise ValueError(f"got {lengths} for {len(self.names)} names")
        if min(self.scale, default=1.0) <= 0:
            raise ValueError(f"scale: got {min(self.scale)}, expected a positive number")
        return self

    @classmethod
    def fit(cls, names: Iterable[str], parts: Iterable[Moments]) -> Self:
        """Fit to the moments of any partition of the rows, in any order.

        Raises:
            ValueError: no rows, or columns that `names` does not name one by one.
        """
        names = tuple(names)
        whole = sum(parts, start=Moments(0, (0,) * len(names), (0,) * len(names)))
        if not whole.count:
            raise ValueError("rows: got 0, expected at least 1")
        n, unit = whole.count, 1 << _UNIT_BITS
        mean = tuple(total / (n * unit) for total in whole.totals)
        deviation = tuple(
            math.sqrt((n * square - total * total) / (n * n * unit * unit))
            for total, square in zip(whole.totals, whole.squares, strict=True)
        )
        scale = tuple(
            d if d > _CONSTANT_BELOW * abs(m) else 1.0 for d, m in zip(deviation, mean, strict=True)
        )
        return cls(names=names, mean=mean, scale=scale, count=n)

    def transform(self, matrix: FloatArray) -> FloatArray:
        """(n, columns) or (n, steps, columns) -> the same shape, scaled.

        Raises:
            ValueError: a matrix of another width.
        """
        self._check_width(matrix)
        return np.asarray((matrix - self._mean) / self._scale)

    def inverse(self, matrix: FloatArray) -> FloatArray:
        """Return what `transform` was given, to rounding.

        Raises:
            ValueError: a matrix of another width.
        """
        self._check_width(matrix)
        return np.asarray(matrix * self._scale + self._mean)

    @cached_property
    def _mean(self) -> FloatArray:
        return np.array(self.mean)

    @cached_property
    def _scale(self) -> FloatArray:
        return np.array(self.scale)

    def _check_width(self, matrix: FloatArray) -> None:
        if matrix.ndim < 2 or matrix.shape[-1] != len(self.names):
            expected = f"(n, {len(self.names)}) or (n, steps, {len(self.names)})"
            raise ValueError(f"matrix: got shape {matrix.shape}, expected {expected}")


def _exact_sums(column: FloatArray) -> tuple[int, int]:
    """Sum and sum of squares of finite numbers as integers, in the units of `Moments`."""
    fraction, exponent = np.frexp(np.asarray(column, dtype=np.float64))
    mantissa = np.ldexp(fraction, _MANTISSA_BITS).astype(np.int64)
    shift = exponent.astype(np.int64) - _LOWEST_EXPONENT
    shift[mantissa == 0] = 0
    high, low = mantissa >> _LIMB_BITS, mantissa & _LIMB_MASK
    total = _sum_shifted(mantissa, shift)
    square = (
        (_sum_shifted(high * high, 2 * shift) << (2 * _LIMB_BITS))
        + (_sum_shifted(high * low, 2 * shift) << (_LIMB_BITS + 1))
        + _sum_shifted(low * low, 2 * shift)
    )
    return total, square


def _sum_shifted(integers: NDArray[np.int64], shift: NDArray[np.int64]) -> int:
    """Return the exact sum of ``integers << shift``, by limbs small enough to be summed in float64."""
    high = np.bincount(shift, weights=integers >> _LIMB_BITS)
    low = np.bincount(shift, weights=integers & _LIMB_MASK)
    used = np.flatnonzero((high != 0) | (low != 0))
    return sum(((int(high[s]) << _LIMB_BITS) + int(low[s])) << int(s) for s in used)
