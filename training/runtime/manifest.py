"""A directory of files that cannot change unnoticed.

`manifest.json` names the format and lists the sha256 of every other file; the sha256 of the manifest itself
is the content hash of the whole. What is read is checked before anyone parses it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from training.runtime.bounds import MOST_FILES, check_json, check_sizes, files_of, read_bounded
from training.runtime.errors import BoundExceeded, ForeignBundle, TamperedBundle, UnsupportedFormat

FORMAT = "raysonde-bundle"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """The parsed manifest: `files` maps names to ``sha256:<hex>``."""

    files: Mapping[str, str]
    content_hash: str


def write_files(files: Mapping[str, bytes], directory: Path, format_version: int) -> str:
    """Write `files` and their manifest as the new directory `directory`, whole or not at all.

    Returns:
        The content hash, ``sha256:<hex>``.

    Raises:
        FileExistsError: `directory` is there already.
        BoundExceeded: `read_files` would refuse them.
    """
    if directory.exists():
        raise FileExistsError(f"{directory} exists, expected a new directory: bundles are never changed")
    check_sizes({name: len(content) for name, content in files.items()})
    hashes = {name: _hash(content) for name, content in files.items()}
    manifest = _canonical({"format": FORMAT, "format_version": format_version, "files": hashes})
    directory.parent.mkdir(parents=True, exist_ok=True)
    temporary = directory.parent / f".{directory.name}.{uuid4().hex}"
    temporary.mkdir()  # with the rights that the process gives, unlike those of `tempfile`
    try:
        for name, content in {**files, MANIFEST: manifest}.items():
            _write_durably(temporary / name, content)
        temporary.rename(directory)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return _hash(manifest)


def read_manifest(path: Path, format_version: int) -> Manifest:
    """Read the manifest of the directory `path`; the other files are not opened.

    Raises:
        ForeignBundle: there is none, or it is of another format.
        UnsupportedFormat: another format version.
        TamperedBundle: it is not spelt as `write_files` spells it.
        BoundExceeded: it is larger or deeper than any of ours.
    """
    file = path / MANIFEST
    if file.is_symlink() or not file.is_file():
        raise ForeignBundle(f"{path}: has no {MANIFEST}, expected the directory of a bundle")
    content = read_bounded(file)
    check_json(MANIFEST, content)
    try:
        manifest = json.loads(content)
    except ValueError as error:
        raise TamperedBundle(f"{file}: is not JSON") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ForeignBundle(f"{file}: expected the format {FORMAT!r}")
    version = manifest.get("format_version")
    if type(version) is not int or version != format_version:  # True is 1, too
        raise UnsupportedFormat(f"{file}: format version is {version!r}, expected {format_version}")
    # any other spelling of the same content would have another hash
    files = manifest.get("files")
    if _canonical(manifest) != content or not isinstance(files, dict):
        raise TamperedBundle(f"{file}: is not as it was written")
    if len(files) >= MOST_FILES:
        raise BoundExceeded(f"{file}: lists {len(files)} files, expected fewer than {MOST_FILES}")
    return Manifest(files, _hash(content))


def read_files(
    path: Path, names: Collection[str], format_version: int, expected_hash: str
) -> dict[str, bytes]:
    """Read the files `names` of the directory `path`, each with the content that the manifest promises.

    Raises:
        ForeignBundle, UnsupportedFormat: as `read_manifest`.
        TamperedBundle: the content hash is another, or a file is missing, added, changed or a link.
        BoundExceeded: there are too many files, or they are too large.
    """
    manifest = read_manifest(path, format_version)
    if manifest.content_hash != expected_hash:
        raise TamperedBundle(f"{path}: content hash is {manifest.content_hash}, expected {expected_hash}")
    listed, present = {*manifest.files, MANIFEST}, files_of(path).keys()
    if set(manifest.files) != set(names):
        raise TamperedBundle(f"{path / MANIFEST}: lists {sorted(manifest.files)}, expected {sorted(names)}")
    if missing := sorted(listed - present):
        raise TamperedBundle(f"{path}: {missing} missing")
    if extra := sorted(present - listed):
        raise TamperedBundle(f"{path}: {extra} not in the manifest")
    return {name: _read_checked(path / name, expected) for name, expected in manifest.files.items()}


def _read_checked(file: Path, expected_hash: str) -> bytes:
    content = read_bounded(file)
    if _hash(content) != expected_hash:
        raise TamperedBundle(f"{file}: content is not what the manifest lists")
    return content


def _hash(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
