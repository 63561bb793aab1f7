"""Workouts: made up after the distributions of recorded ones, or read from Kaggle's `train.csv`.

The generated people and workouts follow what recorded ones look like (means and spreads of body size by
sex, of heart rate and temperature by duration). Their calories are those of Keytel et al. 2005, but of the
weight over 2.2, rounded: nearly every recorded row is that number.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.contract import Contract, FieldSpec
from features.errors import FieldError
from features.targets import TargetSpec
from features.workloads.calories import KEYTEL_FEMALE, KEYTEL_MALE, KJ_PER_KCAL
from training.sources.base import Mapper, Progress
from training.sources.files import RecordedFile

FloatArray = NDArray[np.float64]

_BATCH = 2000
_POUNDS_PER_KG = 2.2
# Ages of recorded people, in years.
_MIN_AGE, _AGE_SPAN, _AGE_SCALE = 20, 60, 42.0


@dataclass(frozen=True)
class GeneratedWorkouts:
    """`people` made-up workouts, a row each."""

    people: int
    seed: int
    revision: str = "1"

    def records(self, mapper: Mapper, progress: Progress) -> pd.DataFrame:
        """Return all records, numbered from 0."""
        batches = [range(i, min(i + _BATCH, self.people)) for i in range(0, self.people, _BATCH)]
        return pd.concat(mapper(partial(draw, self.seed), batches, progress), ignore_index=True)


def make_source(
    contract: Contract, people: int = 12_000, seed: int = 0, path: str | None = None
) -> GeneratedWorkouts | RecordedFile:
    """Make the source for a contract from the options in its YAML file; `path` replaces the generator."""
    if not path:
        return GeneratedWorkouts(people, seed)
    return RecordedFile(Path(path), partial(read_workouts, contract))


def read_workouts(contract: Contract, path: Path) -> pd.DataFrame:
    """Read a CSV or Parquet file with a column for each field of the contract, its entity and its target.

    Raises:
        FieldError: a column is missing, a value is no number or out of the contract's range.
        OSError: the file cannot be read.
    """
    table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    names = [contract.entity, *contract.field_names, contract.target.name]
    for name in names:
        if name not in table:
            raise FieldError(name, sorted(table.columns), f"a column {name!r} in {path.name}")
    for spec in contract.fields:
        if not spec.categories:  # names are checked where the matrix is made
            _check_numbers(table[spec.name], spec)
    assert isinstance(contract.target, TargetSpec), "calories are a number"
    _check_numbers(table[contract.target.name], contract.target)
    return table[names].reset_index(drop=True)


def _check_numbers(column: pd.Series[Any], spec: FieldSpec | TargetSpec) -> None:
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    wrong = ~((numbers >= spec.minimum) & (numbers <= spec.maximum))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise FieldError(f"row {row}, {spec.name}", column.tolist()[row], spec.range_text)


def draw(seed: int, people: range) -> pd.DataFrame:
    """Draw the workouts with these numbers."""
    rng = np.random.default_rng([seed, people.start])
    n = len(people)
    male = rng.random(n) < 0.5
    height_cm = np.where(male, 184.7, 164.4) + rng.normal(0, 10, n)
    spread = rng.normal(0, 1, n)
    weight_kg = np.where(
        male, 0.944 * height_cm - 87.4 + 3.9 * spread, 0.772 * height_cm - 63.6 + 3.3 * spread
    )
    duration_min = np.round(rng.uniform(1, 30, n))
    workouts = _Workouts(
        male=male,
        age_years=_ages(rng, n),
        height_cm=np.clip(np.round(height_cm), 120, 225),
        weight_kg=np.clip(np.round(weight_kg), 36, 140),
        duration_min=duration_min,
        heart_rate=np.clip(np.round(80.3 + 0.98 * duration_min + rng.normal(0, 5, n)), 66, 128),
        body_temp_degc=np.round(37.53 + 0.987 * np.log(duration_min) + rng.normal(0, 0.21, n), 1),
    )
    return workouts.table(people)


@dataclass(frozen=True)
class _Workouts:
    """Arrays (n,) of what a row holds."""

    male: NDArray[np.bool_]
    age_years: FloatArray
    height_cm: FloatArray
    weight_kg: FloatArray
    duration_min: FloatArray
    heart_rate: FloatArray
    body_temp_degc: FloatArray

    def table(self, ids: range) -> pd.DataFrame:
        """Return the people as a table in Kaggle's columns."""
        return pd.DataFrame(
            {
                "id": np.arange(ids.start, ids.stop),
                "Sex": np.where(self.male, "male", "female"),
                "Age": self.age_years,
                "Height": self.height_cm,
                "Weight": self.weight_kg,
                "Duration": self.duration_min,
                "Heart_Rate": self.heart_rate,
                "Body_Temp": self.body_temp_degc,
                "Calories": self._calories(),
            }
        )

    def _calories(self) -> FloatArray:
        """Whole kcal, at least 1."""
        constant, *slopes = np.where(self.male[:, None], KEYTEL_MALE, KEYTEL_FEMALE).T
        terms = (self.heart_rate, self.weight_kg / _POUNDS_PER_KG, self.age_years)
        rate = constant + sum(slope * term for slope, term in zip(slopes, terms, strict=True))
        return np.asarray(np.maximum(np.round(rate / KJ_PER_KCAL * self.duration_min), 1))


def _ages(rng: np.random.Generator, count: int) -> FloatArray:
    """Whole years from 20 to 79, old ones rarer: the inverse of an exponential distribution, cut off."""
    most = 1 - np.exp(-_AGE_SPAN / _AGE_SCALE)
    return np.asarray(_MIN_AGE + np.floor(-_AGE_SCALE * np.log1p(-most * rng.random(count))))
