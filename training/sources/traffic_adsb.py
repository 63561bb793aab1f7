"""Recorded ADS-B tracks that come with the PyPI package `traffic`: install the extra `adsb` for it.

Source: Olive (2019), "traffic, a toolbox for processing and analysing air traffic data", Journal of Open
Source Software 4(39). Its tracks of a second a sample are thinned to one every 10 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import pandas as pd

from features.contract import Contract
from training.sources.base import Mapper, Progress
from training.sources.tracks import track_records

_FOOT_M = 0.3048
_KNOT_MPS = 0.514444
_SAMPLE_S = 10.0
# Column there, column here, and what one unit of it is.
_COLUMNS = {
    "latitude": ("latitude", 1.0),
    "longitude": ("longitude", 1.0),
    "altitude": ("altitude_m", _FOOT_M),
    "groundspeed": ("groundspeed_mps", _KNOT_MPS),
    "track": ("track_deg", 1.0),
    "vertical_rate": ("vertical_rate_mps", _FOOT_M / 60),
}


@dataclass(frozen=True)
class TrafficTracks:
    """A sample of the package, by its name in `traffic.data.samples`."""

    contract: Contract
    sample: str

    @property
    def revision(self) -> str:
        """The version of the package, which has the samples in its files."""
        try:
            return version("traffic")
        except PackageNotFoundError:
            return "none"

    def records(self, mapper: Mapper, progress: Progress) -> pd.DataFrame:
        """Return all records; see `training.sources.base.Source`.

        Raises:
            ModuleNotFoundError: the package is not installed.
            ValueError: it has no such sample.
        """
        if find_spec("traffic") is None:
            raise ModuleNotFoundError("no package traffic: pip install 'raysonde[adsb]'", name="traffic")
        try:
            found = getattr(import_module("traffic.data.samples"), self.sample)
        except AttributeError:
            raise ValueError(
                f"sample: got {self.sample!r}, expected a name of traffic.data.samples, such as 'quickstart'"
            ) from None
        return track_records(self.contract, tidy_positions(found.data))


def make_source(contract: Contract, sample: str = "switzerland") -> TrafficTracks:
    """Make the source for a contract, from the options in its YAML file."""
    return TrafficTracks(contract, sample)


def tidy_positions(table: pd.DataFrame) -> pd.DataFrame:
    """Turn a table of `traffic` (feet, knots, feet a minute) into one for `tracks.track_records`, every 10 s.

    A track is a flight of the column `flight_id` where there is one, else of aircraft and callsign.
    """
    since = pd.to_datetime(table["timestamp"], utc=True) - pd.Timestamp(0, tz="UTC")
    found: dict[str, Any] = {"icao24": table["icao24"], "time_s": since.dt.total_seconds()}
    if "flight_id" in table:
        found["track_id"] = table["flight_id"]
    else:
        found["track_id"] = table["icao24"].astype(str) + "-" + table["callsign"].astype(str)
    for theirs, (ours, unit) in _COLUMNS.items():
        if theirs in table:
            found[ours] = table[theirs].astype("float64") * unit
    positions = pd.DataFrame(found).dropna(subset=["latitude", "longitude"])
    due = (positions["time_s"] // _SAMPLE_S).rename("due")
    return positions.groupby([positions["track_id"], due], sort=False).head(1).reset_index(drop=True)
