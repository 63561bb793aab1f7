"""Recorded data as a replay plays them: recordings, and the cases in them that a system can be asked about.

What reads a file is a source like those of training, made with the option `path`: the one that trains the
workload, unless the section `recorded` of its YAML file names another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from features.config import load_sections
from features.contract import Contract
from features.windows import Windower

if TYPE_CHECKING:
    import pandas as pd

FloatArray = NDArray[np.float64]

DATA_SUFFIXES = (".csv", ".parquet")


class RecordedConfig(BaseModel):
    """The section `recorded` of a workload's YAML file; what is not said is found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    module: str | None = Field(
        default=None, description="module whose make_source(contract, path) reads a file; else training's"
    )
    file: str | tuple[str, ...] = Field(
        default=(),
        description="the file, or several, in a directory of data of all workloads; else the only one in the "
        "folder named like the workload",
    )
    report: str | None = Field(
        default=None, description="module whose REPORT scores predictions; else errors of each prediction"
    )


@dataclass(frozen=True, eq=False)
class Recording:
    """A log of one entity. For a workload whose truth is one event, up to that event.

    Attributes:
        entity: value of the contract's entity field.
        source: what recorded it; an entity may have several logs.
        rows: (n, fields) in contract order, NaN where nothing was recorded; times increase.
        times: (n,) of the rows; for a table, their numbers.
        targets: the target's array of n, for an instance that ends at the row; NaN where it is not known.
    """

    entity: str
    source: str
    rows: FloatArray
    times: FloatArray
    targets: FloatArray

    @property
    def title(self) -> str:
        """Return a title for people."""
        return f"{self.entity} ({self.source})" if self.source else self.entity

    @property
    def truth(self) -> float:
        """The last true number; the only one where the truth is one event."""
        return float(self.targets[-1])

    @property
    def event_s(self) -> float:
        """Time of the last row, where the event is."""
        return float(self.times[-1])

    @cached_property
    def rate_hz(self) -> float:
        """Median rate of the rows; 0 of a single one."""
        return float(1 / np.median(np.diff(self.times))) if len(self.times) > 1 else 0.0


@dataclass(frozen=True, eq=False)
class Case:
    """An instance of a recording, with its truth.

    Attributes:
        end_s: time of its last row; for a table, the number of its row.
        samples: (n, fields) as a client sends them; n is 1 for a table.
        raw: contract.raw_shape, what a model sees; None where the samples make no window.
        target: of the instance, as `features.targets` has it; NaN where it is not known.
    """

    recording: Recording
    end_s: float
    samples: FloatArray
    raw: FloatArray | None
    target: FloatArray

    @property
    def known(self) -> bool:
        """Return whether anything of the truth is known."""
        return bool(np.isfinite(self.target).any())


def iter_steps(contract: Contract, recording: Recording) -> Iterator[tuple[float, Case | None]]:
    """Yield the time of each row, with the case that the row completes, if it does.

    A windowed recording without a single window has one case all the same, at its end, so that the system
    can say in its words what is missing.
    """
    if contract.window is None:
        for time_s, row, target in zip(recording.times, recording.rows, recording.targets, strict=True):
            yield float(time_s), Case(recording, float(time_s), row[np.newaxis], row, target)
        return
    windower = Windower(contract)
    last = len(recording.rows) - 1
    for number, row in enumerate(recording.rows):
        time_s, target = float(recording.times[number]), recording.targets[number]
        window = windower.push(row.tolist())
        if window is not None:
            yield time_s, Case(recording, window.end_s, windower.samples(), window.values, target)
        elif number == last and windower.counts.windows == 0:
            yield (
                time_s,
                Case(recording, time_s, recording.rows[-contract.window.max_samples :], None, target),
            )
        else:
            yield time_s, None


def make_cases(contract: Contract, recording: Recording) -> list[Case]:
    """Every case of a recording that a model can answer."""
    cases = (case for _, case in iter_steps(contract, recording))
    return [case for case in cases if case is not None and case.raw is not None]


def recorded_config(workloads: Path, workload: str) -> RecordedConfig:
    """Load the section `recorded`, empty where there is none."""
    return RecordedConfig.model_validate(load_sections(workloads, workload).get("recorded") or {})


def load_records(workloads: Path, contract: Contract, *paths: Path) -> pd.DataFrame:
    """Load the records of files, one after the other; see `training.sources.base` for their columns.

    Raises:
        ValueError: no source of this workload reads files, or a file is not what it expects.
        FileNotFoundError: no such file.
    """
    import pandas as pd  # not before --help

    from training.sources.base import load_source, no_progress, serial_map

    options = _source_options(workloads, contract.workload)
    tables = []
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"no file {path}")
        try:
            source = load_source(contract, options | {"path": str(path)})
        except TypeError as error:
            raise ValueError(
                f"{options.get('module')} reads no files: {error}; name a module that does as recorded.module"
            ) from error
        tables.append(source.records(serial_map, no_progress))
    return tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True)


def _source_options(workloads: Path, workload: str) -> dict[str, Any]:
    own = recorded_config(workloads, workload).module
    if own:
        return {"module": own}
    training = load_sections(workloads, workload).get("training") or {}
    return dict(training.get("source") or {})


def split_recordings(contract: Contract, records: pd.DataFrame) -> list[Recording]:
    """Split records into recordings, in the order of their first rows."""
    from training.data.dataset import read_matrix, read_target, with_entity
    from training.sources.base import LOG

    records = with_entity(contract, records)
    rows, target = read_matrix(contract, records), read_target(contract, records)
    entities = records[contract.entity].astype(str).tolist()
    logs = records[LOG].astype(str).tolist() if LOG in records else [""] * len(rows)
    groups: dict[tuple[str, str], list[int]] = {}
    for number, key in enumerate(zip(entities, logs, strict=True)):
        groups.setdefault(key, []).append(number)
    found = []
    for (entity, log), numbers in groups.items():
        times = np.asarray(numbers, np.float64)
        if contract.window is not None:
            times = rows[numbers, contract.field_names.index(contract.window.time)]
        found.append(Recording(entity, log, rows[numbers], times, target[numbers]))
    return found


def load_recordings(workloads: Path, contract: Contract, path: Path) -> list[Recording]:
    """Load all recordings of a file; raises as `load_records` does."""
    return split_recordings(contract, load_records(workloads, contract, path))


def find_recorded(workloads: Path, workload: str, data: Path) -> tuple[Path, ...]:
    """Find the recorded files of a workload in a directory of data of all workloads.

    Raises:
        ValueError: there are several, and the workload's YAML file does not say which.
    """
    named = recorded_config(workloads, workload).file
    if named:
        names = (named,) if isinstance(named, str) else named
        return tuple(data / name for name in names if (data / name).is_file())
    files = sorted(p for p in (data / workload).glob("*") if p.suffix in DATA_SUFFIXES)
    if len(files) > 1:
        several = [file.name for file in files]
        raise ValueError(f"{data / workload} has {several}: say which as recorded.file in {workload}.yaml")
    return tuple(files)
