"""Recorded entities as a replay plays them, and which reader makes them of a file, by workload."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from features.contract import Contract

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Recording:
    """One log of one entity, up to the event at which its truth came about.

    Attributes:
        entity: value of the contract's entity field.
        source: what recorded it; an entity may have several logs.
        rows: (n, fields) in contract order, NaN where nothing was recorded; times increase.
        truth: of the target.
        event_s: time of the event, on the axis of the samples' times.
        rate_hz: median rate of the samples.
    """

    entity: str
    source: str
    rows: FloatArray
    truth: float
    event_s: float
    rate_hz: float

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.entity} ({self.source})" if self.source else self.entity


def load_recordings(contract: Contract, path: Path) -> list[Recording]:
    """All recordings of a file.

    Raises:
        ValueError: no reader for this workload, or the file is not what the reader expects.
        FileNotFoundError: no such file.
    """
    reader = _READERS.get(contract.workload)
    if reader is None:
        raise ValueError(f"workload: got {contract.workload!r}, recordings are read of {sorted(_READERS)}")
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    return reader(contract, path)


def _read_flights(contract: Contract, path: Path) -> list[Recording]:
    """Flights up to their apogee: what a rocket does on its way down predicts nothing."""
    from training.sources.recorded import read_logs  # pandas: not before --help is answered

    assert contract.window is not None, "the contract of flights has windows"
    recordings = []
    for log in read_logs(path):
        samples = log.samples[log.samples[contract.window.time] <= log.apogee_s]
        rows = samples.reindex(columns=list(contract.field_names)).to_numpy(np.float64)
        steps_s = np.diff(samples[contract.window.time].to_numpy(np.float64))
        rate_hz = float(1 / np.median(steps_s)) if steps_s.size else 0.0
        recordings.append(Recording(log.entity, log.log, rows, log.apogee_m, log.apogee_s, rate_hz))
    return recordings


_READERS: Mapping[str, Callable[[Contract, Path], list[Recording]]] = {"apogee": _read_flights}
