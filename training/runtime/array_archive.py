"""Arrays of numbers in a zip archive (.npz), read within bounds, whatever it says of itself."""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from training.runtime.bounds import MOST_ARRAY_BYTES, MOST_ARRAYS
from training.runtime.errors import BoundExceeded, MalformedBundle

FloatArray = NDArray[np.float64]

_SUFFIX = ".npy"
_END = struct.Struct("<4s4H2LH")  # the end of an archive without a comment
_END_OF_64 = b"PK\x06\x07"
_MOST_DIRECTORY_BYTES = MOST_ARRAYS * 256
# As numpy writes it: version 1.0, the length of the header, and a dictionary.
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00.{2}\{'descr': '([<>|](?:f[248]|[iu][1248]|b1))', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,12}(?:, \d{1,12}){0,7},?)?)\), \} *\n",
    re.DOTALL,
)
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


def pack_arrays(name: str, arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Return the arrays as an archive.

    Args:
        name: of the file, for errors.
        arrays: by name.

    Raises:
        BoundExceeded: `unpack_arrays` would refuse them.
    """
    _check_total(name, len(arrays), sum(array.nbytes + 256 for array in arrays.values()))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def unpack_arrays(name: str, content: bytes) -> dict[str, FloatArray]:
    """Return the arrays of an archive, by name, as float64.

    What it takes is known from the archive's directory before anything is unpacked, and no member yields
    more than the directory said. There is no bound on the ratio: an honest constant column has 1,000.

    Raises:
        BoundExceeded: they are too many or too large.
        MalformedBundle: no archive of arrays of numbers.
    """
    _check_directory(name, content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            _check_total(name, len(members), sum(member.file_size for member in members))
            return {
                member.filename.removesuffix(_SUFFIX): _array(f"{name}: {member.filename}", archive, member)
                for member in members
            }
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise MalformedBundle(f"{name}: {error}") from error


def _check_directory(name: str, content: bytes) -> None:
    """Check the size of the directory: each entry takes ten times the memory once it is read."""
    if len(content) < _END.size or not content.startswith(b"PK"):
        raise MalformedBundle(f"{name}: expected a zip archive")
    signature, _, _, here, entries, size, _, comment = _END.unpack(content[-_END.size :])
    is_64 = content[-_END.size - 20 :].startswith(_END_OF_64)
    if signature != b"PK\x05\x06" or comment or is_64 or here != entries:
        raise MalformedBundle(f"{name}: expected a zip archive of one part, without a comment")
    if entries > MOST_ARRAYS or size > _MOST_DIRECTORY_BYTES:
        raise BoundExceeded(
            f"{name}: has {entries} members listed in {size:,} bytes, "
            f"expected {MOST_ARRAYS} in {_MOST_DIRECTORY_BYTES:,} at most"
        )


def _check_total(name: str, members: int, size: int) -> None:
    if members > MOST_ARRAYS:
        raise BoundExceeded(f"{name}: has {members} arrays, expected {MOST_ARRAYS} at most")
    if size > MOST_ARRAY_BYTES:
        raise BoundExceeded(f"{name}: unpacks to {size:,} bytes, expected {MOST_ARRAY_BYTES:,} at most")


def _array(what: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> FloatArray:
    if member.compress_type not in _METHODS or not member.filename.endswith(_SUFFIX):
        raise MalformedBundle(f"{what}: expected an array, stored or deflated")
    with archive.open(member) as opened:
        content = opened.read(member.file_size)
        if opened.read(1):
            raise MalformedBundle(f"{what}: is longer than the {member.file_size:,} bytes that it says")
    return _parse(what, content)


def _parse(what: str, content: bytes) -> FloatArray:
    """Parse an array whose header says what there is.

    numpy's own reader makes room for what the header says, and its parser fails in ways of Python's.
    """
    found = _HEADER.match(content)
    if found is None:
        raise MalformedBundle(f"{what}: expected a header of numbers, got {content[:100]!r}")
    descr, by_columns, lengths = (part.decode() for part in found.groups())
    shape, dtype = tuple(int(length) for length in lengths.split(",") if length.strip()), np.dtype(descr)
    data, expected = memoryview(content)[found.end() :], math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        raise MalformedBundle(f"{what}: has {len(data):,} bytes, expected {expected:,} by its shape {shape}")
    array = np.frombuffer(data, dtype=dtype).reshape(shape, order="F" if by_columns == "True" else "C")
    return np.array(array, dtype=np.float64)
