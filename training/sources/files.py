"""Parts that sources of a file share: its table, and the hash that shows whether it has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from training.sources.base import Mapper, Progress


@dataclass(frozen=True)
class RecordedFile:
    """The records of one file, which is read at once; see `training.sources.base.Source`.

    Attributes:
        path: of the file.
        read: makes records of it.
    """

    path: Path
    read: Callable[[Path], pd.DataFrame]

    @property
    def revision(self) -> str:
        """The hash of the file, so that one that has changed is read again.

        Raises:
            FileNotFoundError: no such file.
        """
        return hash_file(self.path)

    def records(self, mapper: Mapper, progress: Progress) -> pd.DataFrame:
        """Return all records; reading is quick, so that the mapper is not used."""
        return self.read(self.path)


def read_table(path: Path) -> pd.DataFrame:
    """Read the table in a CSV or Parquet file.

    Raises:
        ValueError: the file is neither.
    """
    if path.suffix not in {".csv", ".parquet"}:
        raise ValueError(f"{path}: got a {path.suffix or 'nameless'} file, expected .csv or .parquet")
    return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)


def hash_file(path: Path) -> str:
    """sha256 of the content, in hex.

    Raises:
        FileNotFoundError: no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
