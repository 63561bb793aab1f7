"""The bounds of a bundle: beyond them it is refused, before anything of it is unpacked or run.

The largest bundles of the families here have a hundredth of it.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from training.runtime.errors import BoundExceeded, MalformedBundle, TamperedBundle

MIB = 2**20

MOST_FILES = 32
MOST_FILE_BYTES = 64 * MIB
MOST_BUNDLE_BYTES = 160 * MIB
MOST_JSON_BYTES = MIB
MOST_MANIFEST_BYTES = 16 * 1024
MOST_JSON_DEPTH = 32
# Of one archive, unpacked: 1,000 rows of 8,000 numbers.
MOST_ARRAY_BYTES = 64 * MIB
MOST_ARRAYS = 64

# A string of JSON, to its end or to that of the text; brackets in it are none.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.?)*+"?', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def most_bytes(name: str) -> int:
    """Return the size that a file of this name may have."""
    if name == "manifest.json":
        return MOST_MANIFEST_BYTES
    return MOST_JSON_BYTES if name.endswith(".json") else MOST_FILE_BYTES


def check_size(name: str, size: int) -> None:
    """Raise BoundExceeded where a file is larger than one of its name may be."""
    if size > most_bytes(name):
        raise BoundExceeded(f"{name}: has {size:,} bytes, expected {most_bytes(name):,} at most")


def check_sizes(sizes: dict[str, int]) -> None:
    """Raise BoundExceeded where there are too many files, or they are too large, alone or together."""
    if len(sizes) > MOST_FILES:
        raise BoundExceeded(f"has {len(sizes)} files, expected {MOST_FILES} at most")
    for name, size in sizes.items():
        check_size(name, size)
    if (total := sum(sizes.values())) > MOST_BUNDLE_BYTES:
        raise BoundExceeded(f"has {total:,} bytes, expected {MOST_BUNDLE_BYTES:,} at most")


def files_of(folder: Path) -> dict[str, int]:
    """Return the sizes in bytes of the files of a folder, by name, in their order.

    Raises:
        BoundExceeded: they are too many or too large.
        TamperedBundle: something there is no plain file, a link for example.
        OSError: the folder cannot be read.
    """
    with os.scandir(folder) as entries:
        found = {entry.name: entry.stat(follow_symlinks=False) for entry in islice(entries, MOST_FILES + 1)}
    for name, status in found.items():
        if not stat.S_ISREG(status.st_mode):
            raise TamperedBundle(f"{folder / name}: is not a file")
    sizes = {name: status.st_size for name, status in sorted(found.items())}
    try:
        check_sizes(sizes)
    except BoundExceeded as error:
        raise BoundExceeded(f"{folder}: {error}") from None
    return sizes


def read_bounded(file: Path) -> bytes:
    """Read a file, and no more of it than one of its name may have.

    Raises:
        BoundExceeded: it has more.
        OSError: it cannot be read, or is a link.
    """
    with open(file, "rb", opener=_open_no_link) as opened:
        size = os.fstat(opened.fileno()).st_size
        check_size(file.name, size)
        # room is made for as much as is asked for
        return opened.read(size)


def copy_files(source: Path, target: Path) -> None:
    """Copy the plain files of a folder into the new folder `target`; errors as of `files_of`."""
    sizes = files_of(source)
    target.mkdir()
    for name in sizes:
        (target / name).write_bytes(read_bounded(source / name))


def check_json(name: str, content: bytes) -> None:
    """Check the depth of a JSON text without parsing it.

    Raises:
        BoundExceeded: it is nested more deeply, or longer, than any of ours.
        MalformedBundle: its brackets do not match.
    """
    check_size(name, len(content))
    for depth in _depths(content):
        if depth > MOST_JSON_DEPTH:
            raise BoundExceeded(f"{name}: is nested deeper than the {MOST_JSON_DEPTH} levels expected")
        if depth < 0:
            raise MalformedBundle(f"{name}: has a closing bracket too many")


def _depths(content: bytes) -> Iterator[int]:
    depth = 0
    for bracket in _STRING.sub(b"", content).translate(None, _NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        yield depth


def _open_no_link(path: str, flags: int) -> int:
    # without waiting for a writer, should it be a pipe
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
