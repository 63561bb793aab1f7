"""Directories of files that cannot change unnoticed: how they are written, and how others are rejected."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from training.runtime import manifest
from training.runtime.errors import ForeignBundle, TamperedBundle, UnsupportedFormat
from training.runtime.manifest import read_files, read_manifest, write_files

FILES = {"b.bin": b"\x00\xff", "a.json": b"{}"}


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def there(tmp_path: Path) -> Path:
    write_files(FILES, tmp_path / "there", 3)
    return tmp_path / "there"


def rewrite(folder: Path, **changes: Any) -> str:
    """Change members of the manifest, and leave out those that are None; its new hash."""
    members = {**json.loads((folder / "manifest.json").read_bytes()), **changes}
    known = {name: value for name, value in members.items() if value is not None}
    content = json.dumps(known, sort_keys=True, separators=(",", ":")).encode()
    (folder / "manifest.json").write_bytes(content)
    return sha256(content)


def test_the_manifest_is_written_in_one_way_and_names_every_other_file(tmp_path: Path) -> None:
    found = write_files({**FILES, "é": b""}, tmp_path / "new", 3)
    content = (tmp_path / "new" / "manifest.json").read_bytes()
    listed = f'"a.json":"{sha256(b"{}")}","b.bin":"{sha256(FILES["b.bin"])}","\\u00e9":"{sha256(b"")}"'
    expected = f'{{"files":{{{listed}}},"format":"raysonde-bundle","format_version":3}}'
    assert content.decode() == expected
    assert found == sha256(content)
    assert {one.name: one.read_bytes() for one in (tmp_path / "new").iterdir()} == {
        **FILES,
        "é": b"",
        "manifest.json": content,
    }


def test_every_file_is_on_the_disk_with_its_content_before_the_directory_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: dict[int, tuple[int, bool]] = {}
    new = tmp_path / "far" / "away" / "new"

    def record(number: int) -> None:
        found = os.fstat(number)
        synced[found.st_ino] = (found.st_size, new.exists())

    monkeypatch.setattr(os, "fsync", record)
    write_files(FILES, new, 3)
    assert synced == {one.stat().st_ino: (one.stat().st_size, False) for one in new.iterdir()}
    assert len(synced) == 3
    assert list(new.parent.iterdir()) == [new]
    assert stat.S_IMODE(new.stat().st_mode) == 0o755, "as the umask says"
    write_files(FILES, new.parent / "other", 3)


def test_a_directory_that_is_there_is_left_as_it_is(there: Path) -> None:
    with pytest.raises(FileExistsError, match="expected a new directory: bundles are never changed"):
        write_files({}, there, 3)
    assert (there / "a.json").exists()


def test_nothing_is_left_of_one_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        write_files(FILES, tmp_path / "new", 3)
    assert list(tmp_path.iterdir()) == []


def test_what_was_written_is_read(there: Path) -> None:
    found = read_manifest(there, 3)
    assert found.files == {name: sha256(content) for name, content in FILES.items()}
    assert found.content_hash == sha256((there / "manifest.json").read_bytes())
    assert read_files(there, FILES.keys(), 3, found.content_hash) == FILES


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"{", TamperedBundle, "is not JSON"),
        (b"\xff", TamperedBundle, "is not JSON"),
        (b"[]", ForeignBundle, "expected the format 'raysonde-bundle'"),
        (b"{}", ForeignBundle, "expected the format 'raysonde-bundle'"),
        (b'{"format":"raysonde-bundle"}', UnsupportedFormat, "format version is None, expected 3"),
        (
            b'{"files":[],"format":"raysonde-bundle","format_version":3}',
            TamperedBundle,
            "is not as it was written",
        ),
        (b'{"format":"raysonde-bundle","format_version":3}', TamperedBundle, "is not as it was written"),
        (
            b'{"format":"raysonde-bundle","files":{},"format_version":3}',
            TamperedBundle,
            "is not as it was written",
        ),
    ],
)
def test_another_manifest_is_rejected(
    there: Path, content: bytes, error: type[Exception], message: str
) -> None:
    (there / "manifest.json").write_bytes(content)
    with pytest.raises(error, match=message):
        read_manifest(there, 3)


@pytest.mark.parametrize("version", [2, 4])
def test_another_version_is_rejected(there: Path, version: int) -> None:
    with pytest.raises(UnsupportedFormat, match=f"format version is 3, expected {version}"):
        read_manifest(there, version)


def test_a_directory_without_a_manifest_is_none_of_ours(there: Path) -> None:
    (there / "manifest.json").unlink()
    with pytest.raises(ForeignBundle, match=r"has no manifest\.json"):
        read_manifest(there, 3)
    (there / "manifest.json").mkdir()
    with pytest.raises(ForeignBundle, match=r"has no manifest\.json"):
        read_manifest(there, 3)


def test_each_file_has_to_be_what_the_manifest_says(there: Path) -> None:
    expected = read_manifest(there, 3).content_hash

    def rejected(message: str, names: tuple[str, ...] = ("a.json", "b.bin"), hash_: str = expected) -> None:
        with pytest.raises(TamperedBundle, match=message):
            read_files(there, names, 3, hash_)

    rejected(f"content hash is {expected}, expected sha256:00", hash_="sha256:00")
    rejected(r"lists \['a.json', 'b.bin'\], expected \['a.json'\]", ("a.json",))
    rejected(r"lists \['a.json', 'b.bin'\], expected \['a.json', 'b.bin', 'c'\]", ("c", "b.bin", "a.json"))
    (there / "z").touch()
    (there / "c").touch()
    rejected(r"\['c', 'z'\] not in the manifest")
    (there / "z").unlink()
    (there / "c").unlink()
    (there / "a.json").write_bytes(b"[]")
    rejected(r"a\.json: content is not what the manifest lists")
    (there / "a.json").unlink()
    rejected(r"\['a.json'\] missing")
    (there / "a.json").mkdir()
    rejected(r"a\.json: is not a file")


def test_a_true_manifest_of_other_files_has_another_hash(there: Path) -> None:
    before = read_manifest(there, 3).content_hash
    after = rewrite(there, files={"a.json": sha256(b"{}")})
    (there / "b.bin").unlink()
    assert read_files(there, ["a.json"], 3, after) == {"a.json": b"{}"}
    with pytest.raises(TamperedBundle, match=before):
        read_files(there, ["a.json"], 3, before)
    rewrite(there, format=None)
    with pytest.raises(ForeignBundle):
        read_manifest(there, 3)
    assert (manifest.FORMAT, manifest.MANIFEST) == ("raysonde-bundle", "manifest.json")
