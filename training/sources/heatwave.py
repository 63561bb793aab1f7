"""A heat wave: calm days, then a ramp of temperature that no season explains, and a hot rest.

It drifts on purpose: a model of ordinary weather sees its inputs leave what it was trained on. The calm part
is a daily cycle with noise that fades from hour to hour (an autoregressive process of order 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.contract import Contract
from training.sources.base import Mapper, Progress
from training.sources.weather import hourly_records

FloatArray = NDArray[np.float64]

_HOUR_S = 3600.0
_WARMEST_HOUR_UTC = 19.0
_KEPT = 0.9  # share of a deviation that is left after an hour


@dataclass(frozen=True)
class HeatWave:
    """The course of a heat wave.

    Attributes:
        start: of the record, with zone.
        hours: in the record.
        calm_hours: before the ramp starts.
        ramp_hours: from the first rise to the full height; 0 is a jump.
        height_k: how much warmer it is in the end.
        mean_c: daily mean in the calm part.
        swing_k: half the difference of day and night.
        noise_k: standard deviation of the temperature about the cycle and the ramp.
        stations: how many stations see it, each with noise of its own.
        seed: of the noise.
    """

    start: datetime = datetime(2014, 7, 1, tzinfo=UTC)
    hours: int = 480
    calm_hours: float = 240.0
    ramp_hours: float = 72.0
    height_k: float = 12.0
    mean_c: float = 21.0
    swing_k: float = 4.5
    noise_k: float = 0.8
    stations: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("hours", "stations"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: got {getattr(self, name)}, expected at least 1")
        for name in ("calm_hours", "ramp_hours", "noise_k"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: got {getattr(self, name)}, expected 0 or more")
        if self.start.tzinfo is None:
            raise ValueError(f"start: got {self.start.isoformat()}, expected a time with its zone")

    def rise_k(self) -> FloatArray:
        """(hours,) by how much each hour is warmer than the calm part."""
        since = np.arange(self.hours) - self.calm_hours
        share = np.clip(since / self.ramp_hours, 0, 1) if self.ramp_hours else (since >= 0).astype(float)
        return np.asarray(self.height_k * share)

    def observe(self, station: int) -> pd.DataFrame:
        """Return the hours of one station, in the columns of `training.sources.weather.read_hours`."""
        generator = np.random.default_rng([self.seed, station])
        time_s = self.start.timestamp() + _HOUR_S * np.arange(self.hours)
        phase = 2 * np.pi * (time_s / _HOUR_S - _WARMEST_HOUR_UTC) / 24
        noise = [_fading(generator, self.hours) for _ in range(3)]
        return pd.DataFrame(
            {
                "station": f"heatwave-{station}",
                "time_s": time_s,
                "temperature_c": self.mean_c
                + self.swing_k * np.cos(phase)
                + self.rise_k()
                + self.noise_k * noise[0],
                "windspeed_mps": 3.5 * np.exp(0.4 * noise[1]),
                "pressure_hpa": 1018.0 + 3.0 * noise[2],
            }
        )


@dataclass(frozen=True)
class HeatWaveSource:
    """A `training.sources.base.Source`; its records are those of `training.sources.weather`."""

    contract: Contract
    wave: HeatWave
    revision: str = "1"

    def records(self, mapper: Mapper, progress: Progress) -> pd.DataFrame:
        """Return all records, in the order of the stations."""
        tables = mapper(self.wave.observe, range(self.wave.stations), progress)
        return hourly_records(self.contract, pd.concat(tables, ignore_index=True))


def make_source(contract: Contract, start: str | None = None, **options: float) -> HeatWaveSource:
    """Make the source for a contract: `start` as ISO 8601 with zone, the other options as of `HeatWave`.

    Raises:
        TypeError: an option that it has not.
        ValueError: a value that an option cannot have.
    """
    times = {} if start is None else {"start": datetime.fromisoformat(start)}
    return HeatWaveSource(contract, HeatWave(**times, **options))  # type: ignore[arg-type]


def _fading(generator: np.random.Generator, count: int) -> FloatArray:
    """(count,) with mean 0 and standard deviation 1; each value keeps a share of the one before."""
    pushes = generator.normal(size=count)
    values = np.empty(count)
    values[0] = pushes[0]
    for i in range(1, count):
        values[i] = _KEPT * values[i - 1] + np.sqrt(1 - _KEPT**2) * pushes[i]
    return values
