"""Answers as far as there are any: a folder of numbered Parquet files, and a manifest that says of what."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from training.scoring.errors import OtherRun
from training.scoring.plan import InputFile

# readers of folders of Parquet files pass over names that begin like this
_MANIFEST = "_manifest.json"


class Manifest(BaseModel):
    """The identity of a scoring run. Parts of different manifests never come together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    workload: str
    arm: str
    model_version: str
    bundle: str
    rows_per_part: int
    parts: int
    files: tuple[InputFile, ...]


class Parts:
    """The parts that will become `output`, in a folder beside it.

    Args:
        output: a file if its name ends in .parquet, else a folder.
        manifest: of this run.

    Raises:
        OtherRun: the folder holds parts of another one.
        FileExistsError: `output` is there already.
    """

    def __init__(self, output: Path, manifest: Manifest) -> None:
        require_absent(output)
        self._output, self._manifest = output, manifest
        self.folder = output.with_name(output.name + ".parts")
        path = self.folder / _MANIFEST
        if path.exists():
            _check_same(self.folder, _read(path), manifest)
        else:
            self.folder.mkdir(parents=True, exist_ok=True)
            _replace(path, manifest.model_dump_json(indent=1).encode())

    @property
    def missing(self) -> list[int]:
        """Numbers of the parts that are not there yet."""
        return [n for n in range(self._manifest.parts) if not part_path(self.folder, n).exists()]

    def finish(self) -> tuple[int, int]:
        """Make the output of the parts, whole or not at all.

        Returns:
            Rows, and how many of them are errors.
        """
        paths = [part_path(self.folder, n) for n in range(self._manifest.parts)]
        counts = [_counts(path) for path in paths]
        if self._output.suffix == ".parquet":
            staging = self.folder / f".joined-{os.getpid()}"
            _join(paths, staging)
            staging.replace(self._output)
            shutil.rmtree(self.folder)
        else:
            self.folder.rename(self._output)
        return sum(rows for rows, _ in counts), sum(errors for _, errors in counts)


def require_absent(output: Path) -> None:
    """Raise FileExistsError where there is an output already."""
    if output.exists():
        raise FileExistsError(f"{output} is there already: move it away, or give --fresh")


def discard(output: Path) -> None:
    """Remove the output and its parts, where there are any.

    Raises:
        ValueError: a folder lies there that scoring did not make.
    """
    for path in (output, output.with_name(output.name + ".parts")):
        if path.is_dir():
            if not (path / _MANIFEST).exists():
                raise ValueError(f"{path}: got a folder without {_MANIFEST}, expected one that scoring made")
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def part_path(folder: Path, number: int) -> Path:
    """Return the path of the part with this number."""
    return folder / f"part-{number:06d}.parquet"


def write_part(folder: Path, number: int, answers: pa.Table) -> None:
    """Write one part, whole or not at all; at the second time it is the same."""
    staging = folder / f".part-{number:06d}-{os.getpid()}"
    pq.write_table(answers, staging)
    staging.replace(part_path(folder, number))


def _read(path: Path) -> Manifest:
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise OtherRun(f"{path}: no manifest of this version: {error}; --fresh starts anew") from error


def _check_same(folder: Path, there: Manifest, ours: Manifest) -> None:
    for name in Manifest.model_fields:
        got, expected = getattr(there, name), getattr(ours, name)
        if got != expected:
            what = "the input has changed" if name == "files" else f"{name}: got {got}, expected {expected}"
            raise OtherRun(f"{folder} holds parts of another run ({what}): --fresh starts anew")


def _counts(path: Path) -> tuple[int, int]:
    """Rows and errors, from the footer."""
    footer = pq.read_metadata(path)
    column = footer.schema.names.index("error")
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    sound = sum(group.column(column).statistics.null_count for group in groups)
    return footer.num_rows, footer.num_rows - sound


def _join(paths: list[Path], joined: Path) -> None:
    writer: pq.ParquetWriter | None = None
    try:
        for path in paths:
            part = pq.ParquetFile(path).read()
            writer = writer or pq.ParquetWriter(joined, part.schema)
            writer.write_table(part)
    finally:
        if writer:
            writer.close()


def _replace(path: Path, content: bytes) -> None:
    staging = path.with_name(f".{path.name}-{os.getpid()}")
    staging.write_bytes(content)
    staging.replace(path)
