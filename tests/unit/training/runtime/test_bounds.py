"""What a bundle may hold at most: counted before it is read, and read no further than that."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.runtime.bounds import (
    MIB,
    MOST_BUNDLE_BYTES,
    MOST_FILE_BYTES,
    MOST_FILES,
    MOST_JSON_BYTES,
    MOST_JSON_DEPTH,
    MOST_MANIFEST_BYTES,
    check_json,
    check_sizes,
    copy_files,
    files_of,
    read_bounded,
)
from training.runtime.errors import BoundExceeded, MalformedBundle, TamperedBundle


def sparse(path: Path, size: int) -> None:
    """A file of zeros that takes no room."""
    with path.open("wb") as file:
        file.truncate(size)


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("model.onnx", MOST_FILE_BYTES),
        ("a.json", MOST_JSON_BYTES),
        ("manifest.json", MOST_MANIFEST_BYTES),
    ],
)
def test_a_file_is_bounded_by_its_kind(tmp_path: Path, name: str, most: int) -> None:
    sparse(tmp_path / name, most)
    assert len(read_bounded(tmp_path / name)) == most
    assert files_of(tmp_path) == {name: most}
    sparse(tmp_path / name, most + 1)
    message = rf"{name}: has {most + 1:,} bytes, expected {most:,} at most"
    for refused in (lambda: read_bounded(tmp_path / name), lambda: files_of(tmp_path)):
        with pytest.raises(BoundExceeded, match=message):
            refused()


def test_many_files_are_bounded_together() -> None:
    check_sizes(dict.fromkeys("ab", MOST_BUNDLE_BYTES // 4))
    with pytest.raises(BoundExceeded, match=rf"has {192 * MIB:,} bytes, expected {MOST_BUNDLE_BYTES:,}"):
        check_sizes(dict.fromkeys("abc", 64 * MIB))
    with pytest.raises(BoundExceeded, match=rf"has {MOST_FILES + 1} files, expected {MOST_FILES} at most"):
        check_sizes({str(number): 0 for number in range(MOST_FILES + 1)})


def test_a_folder_of_many_files_is_not_listed_to_its_end(tmp_path: Path) -> None:
    for number in range(MOST_FILES + 9):
        (tmp_path / str(number)).touch()
    with pytest.raises(BoundExceeded, match=f"has {MOST_FILES + 1} files"):
        files_of(tmp_path)


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_what_is_no_plain_file_is_neither_read_nor_copied(tmp_path: Path, kind: str) -> None:
    (tmp_path / "secret").write_text("told to nobody")
    (folder := tmp_path / "bundle").mkdir()
    (folder / "a").touch()
    entry = folder / "model.onnx"
    match kind:
        case "link":
            entry.symlink_to(tmp_path / "secret")
        case "folder":
            entry.mkdir()
        case "pipe":
            os.mkfifo(entry)
    for refused in (lambda: files_of(folder), lambda: copy_files(folder, tmp_path / "copied")):
        with pytest.raises(TamperedBundle, match=r"model\.onnx: is not a file"):
            refused()
    assert not (tmp_path / "copied").exists()
    if kind == "link":
        with pytest.raises(OSError, match="symbolic links"):
            read_bounded(entry)


def test_files_are_copied_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "a").write_bytes(b"\x00\xff")
    copy_files(tmp_path / "from", tmp_path / "to")
    assert {file.name: file.read_bytes() for file in (tmp_path / "to").iterdir()} == {"a": b"\x00\xff"}
    with pytest.raises(FileNotFoundError):
        copy_files(tmp_path / "nowhere", tmp_path / "other")


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def test_json_is_bounded_in_depth() -> None:
    check_json("a.json", nested(MOST_JSON_DEPTH))
    for content in (nested(MOST_JSON_DEPTH + 1), b'{"a":' * 50_000, b"[{" * 50_000):
        with pytest.raises(BoundExceeded, match=f"a.json: is nested deeper than the {MOST_JSON_DEPTH}"):
            check_json("a.json", content)
    with pytest.raises(MalformedBundle, match="a closing bracket too many"):
        check_json("a.json", b"[]]")


def depth_of(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)


def wrapped(value: Any, times: int) -> Any:
    for _ in range(times):
        value = {'\\"[': value}
    return value


JSON = st.recursive(
    st.text('[]{}"\\a') | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('["\\'), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.integers(0, MOST_JSON_DEPTH + 3))
def test_brackets_within_strings_do_not_count(value: Any, times: int) -> None:
    value = wrapped(value, times)
    content = json.dumps(value).encode()
    if depth_of(value) <= MOST_JSON_DEPTH:
        check_json("a.json", content)
    else:
        with pytest.raises(BoundExceeded):
            check_json("a.json", content)


@pytest.mark.parametrize("piece", [b'"', b'\\"', b"\\", b'"\\'])
def test_strings_without_an_end_take_no_longer(piece: bytes) -> None:
    """Quadratic in its length, this would not end."""
    check_json("a.json", piece * (MOST_JSON_BYTES // len(piece)))
