"""Parts that sources of a file share: its table, and the hash that shows whether it has changed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd


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
