"""The protocol of a source: it makes telemetry records, which are kept as Parquet.

Records are one table with a row a sample: the contract's entity and fields (NaN or no column where a
source has none) and the target. Two columns are optional: `log` tells several logs of one entity apart,
and `weight` says how much a sample counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import pandas as pd

from features.contract import Contract

T = TypeVar("T")
R = TypeVar("R")

WEIGHT = "weight"
LOG = "log"

# progress(done, total) of a piece of work
Progress = Callable[[int, int], None]


class Mapper(Protocol):
    """Applies a pure function to every item, in order of the items: one after the other, or on a cluster."""

    def __call__(self, function: Callable[[T], R], items: Sequence[T], progress: Progress) -> list[R]:
        """Return the results, in the order of `items`; `progress` gets how many are done."""
        ...


class Source(Protocol):
    """Something that can make records.

    Attributes:
        revision: changes whenever the same options would give other records.
    """

    revision: str

    def records(self, mapper: Mapper, progress: Progress) -> pd.DataFrame:
        """Return all records; the same for the same options and seed, whatever the mapper."""
        ...


def no_progress(done: int, total: int) -> None:
    """Tell nobody."""


def serial_map(function: Callable[[T], R], items: Sequence[T], progress: Progress) -> list[R]:
    """Map in this process: a `Mapper` that needs nothing."""
    results = []
    for done, item in enumerate(items, start=1):
        results.append(function(item))
        progress(done, len(items))
    return results


def load_source(contract: Contract, options: Mapping[str, Any]) -> Source:
    """Load the source that `options["module"]` makes with the other options.

    Raises:
        ValueError: no module is named, or it has no `make_source`.
    """
    rest = dict(options)
    make = _maker(rest.pop("module", None))
    return make(contract, **rest)


def with_file(options: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Return the options with `file` as what the source reads.

    Raises:
        ValueError: it reads no files: its `make_source` has no option `path`.
        FileNotFoundError: no such file.
    """
    name = options.get("module")
    if "path" not in signature(_maker(name)).parameters:
        raise ValueError(f"data: got {str(file)!r}, but {name} makes its data itself and reads no file")
    if not file.is_file():
        raise FileNotFoundError(f"no file {file}")
    return {**options, "path": str(file.resolve())}


def _maker(name: str | None) -> Callable[..., Source]:
    make = getattr(import_module(name), "make_source", None) if name else None
    if make is None:
        raise ValueError(f"training.source.module: got {name!r}, expected a module with make_source()")
    return cast(Callable[..., Source], make)


def cached_records(
    contract: Contract, options: Mapping[str, Any], directory: Path, mapper: Mapper, progress: Progress
) -> pd.DataFrame:
    """Return the records of a source, made once and read from `directory` afterwards.

    The file's name carries a hash of the options (the seed is one of them), the source's revision and the
    contract's fields and columns of the truth, so that any change makes a new file.
    """
    source = load_source(contract, options)
    made_from = [dict(options), source.revision, contract.field_names, contract.target_columns]
    key = json.dumps(made_from, sort_keys=True)
    path = directory / f"{contract.workload}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.parquet"
    if path.is_file():
        return pd.read_parquet(path)
    records = source.records(mapper, progress)
    directory.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    records.to_parquet(partial, index=False)
    partial.replace(path)
    return records
