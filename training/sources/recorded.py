"""Recorded flights, from a CSV or Parquet file with a row a sample.

Columns: `flight_id`, `time_s` (s since lift-off) and `altitude_agl_m` (m above the pad). Optional are
`device` (several loggers in one rocket), `velocity_recorded_mps`, `acceleration_recorded_mps2`, and
`apogee_m` where an official figure is to be used instead of the highest altitude recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import medfilt

from features.contract import Contract
from features.errors import FieldError
from training.sources.base import LOG, Mapper, Progress
from training.sources.files import hash_file, read_table

FloatArray = NDArray[np.float64]

_ENTITY, _DEVICE, _TIME, _ALTITUDE, _APOGEE = "flight_id", "device", "time_s", "altitude_agl_m", "apogee_m"
_OPTIONAL = {
    "velocity_recorded_mps": "vertical_velocity_mps",
    "acceleration_recorded_mps2": "vertical_acceleration_mps2",
}
_EARLIEST_S, _LATEST_S = -60.0, 3600.0
_HIGHEST_M = 100_000.0
# Rockets on parachutes and in free flight stay below: a faster change of altitude is a wrong unit or a fault.
_FASTEST_MPS = 3000.0
_DESPIKE_HZ = 8.0


@dataclass(frozen=True)
class RecordedLog:
    """A log of one flight.

    Attributes:
        entity: which flight.
        log: which of its loggers.
        samples: columns of the contract's names, from the file's first sample to its last, times increasing.
        apogee_m: the highest altitude, or the official one.
        apogee_s: when the altitude was highest.
    """

    entity: str
    log: str
    samples: pd.DataFrame
    apogee_m: float
    apogee_s: float


@dataclass(frozen=True)
class RecordedSource:
    """Source of the logs in a file as records for training or evaluation, each up to its apogee."""

    contract: Contract
    path: Path

    @property
    def revision(self) -> str:
        """The hash of the file; see `training.sources.files.RecordedFile`."""
        return hash_file(self.path)

    def records(self, mapper: Mapper, progress: Progress) -> pd.DataFrame:
        """Return all records; reading is quick, so that the mapper is not used."""
        logs = read_logs(self.path)
        tables = []
        for done, log in enumerate(logs, start=1):
            rising = log.samples[log.samples["time_s"] <= log.apogee_s].copy()
            rising[self.contract.entity] = log.entity
            rising[LOG] = log.log
            rising[self.contract.target.name] = log.apogee_m
            tables.append(rising)
            progress(done, len(logs))
        return pd.concat(tables, ignore_index=True)


def make_source(contract: Contract, path: str) -> RecordedSource:
    """Make the source for a contract, from the options in its YAML file."""
    return RecordedSource(contract, Path(path))


def read_logs(path: Path) -> list[RecordedLog]:
    """Every log of a file, in the order of their first rows.

    Raises:
        FieldError: a column is missing, or a value is not what the column holds.
        ValueError: the file is neither CSV nor Parquet.
    """
    table = read_table(path)
    for name in (_ENTITY, _TIME, _ALTITUDE):
        if name not in table:
            raise FieldError(name, f"columns {list(table.columns)}", f"a column {name!r} in {path.name}")
    if table.empty:
        raise FieldError(_TIME, "0 rows", f"at least one sample in {path.name}")
    if _DEVICE not in table:
        table = table.assign(**{_DEVICE: ""})
    _check_names(table)
    _check_range(table, _TIME, _EARLIEST_S, _LATEST_S, "s since lift-off")
    _check_range(table, _ALTITUDE, -500.0, _HIGHEST_M, "m above the pad")
    return [
        _log(str(entity), str(device), rows)
        for (entity, device), rows in table.groupby([_ENTITY, _DEVICE], sort=False, dropna=False)
    ]


def _check_names(table: pd.DataFrame) -> None:
    missing = table[_ENTITY].isna().to_numpy()
    if missing.any():
        raise FieldError(f"{_ENTITY}[{int(missing.argmax())}]", None, "the name of a flight in each row")


def _check_range(table: pd.DataFrame, name: str, low: float, high: float, unit: str) -> None:
    """Refuse the first value that is no number in the range, by its row."""
    values = pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64)
    wrong = ~((values >= low) & (values <= high))
    if wrong.any():
        row = int(wrong.argmax())
        raise FieldError(
            f"{name}[{row}]", table[name].iloc[row], f"a finite number of {unit} in [{low:g}, {high:g}]"
        )


def _log(entity: str, device: str, rows: pd.DataFrame) -> RecordedLog:
    rows = rows.sort_values(_TIME, kind="stable").drop_duplicates(_TIME)
    time_s = rows[_TIME].to_numpy(np.float64)
    altitude_m = rows[_ALTITUDE].to_numpy(np.float64)
    _check_speed(entity, device, time_s, altitude_m)
    found_m, apogee_s = _peak(time_s, altitude_m)
    official = rows[_APOGEE].iloc[0] if _APOGEE in rows else np.nan
    samples = pd.DataFrame({"time_s": time_s, "altitude_m": altitude_m})
    for column, field in _OPTIONAL.items():
        if column in rows:
            samples[field] = rows[column].to_numpy(np.float64)
    return RecordedLog(
        entity, device, samples, float(official) if np.isfinite(official) else found_m, apogee_s
    )


def _check_speed(entity: str, device: str, time_s: FloatArray, altitude_m: FloatArray) -> None:
    """Refuse an impossible speed over a second or more: times or altitudes are in other units."""
    if time_s[-1] - time_s[0] < 1:
        raise FieldError(
            _TIME, f"{time_s[-1] - time_s[0]:g} s of {entity} {device}".strip(), "more than 1 s of samples"
        )
    whole_s = np.arange(time_s[0], time_s[-1], 1.0)
    speed_mps = np.abs(np.diff(np.interp(whole_s, time_s, altitude_m)))
    if speed_mps.size and speed_mps.max() > _FASTEST_MPS:
        at = whole_s[int(speed_mps.argmax())]
        expected = f"a climb of at most {_FASTEST_MPS:g} m/s (altitude in m, time in s)"
        raise FieldError(_ALTITUDE, f"{speed_mps.max():g} m/s at {at:g} s of {entity}", expected)


def _peak(time_s: FloatArray, altitude_m: FloatArray) -> tuple[float, float]:
    """Highest altitude and its time, of the medians of five samples where samples are close.

    A sample or two that stand out (an ejection charge, noise) would otherwise raise the truth.
    """
    rate_hz = (len(time_s) - 1) / (time_s[-1] - time_s[0])
    despiked_m = medfilt(altitude_m, 5) if rate_hz > _DESPIKE_HZ else altitude_m
    top = int(despiked_m.argmax())
    return float(despiked_m[top]), float(time_s[top])
