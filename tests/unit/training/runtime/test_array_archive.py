"""Archives of arrays: what was packed comes back, and what lies of its size takes no memory."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.bombs import archive_bomb
from training.runtime.array_archive import pack_arrays, unpack_arrays
from training.runtime.bounds import MIB, MOST_ARRAY_BYTES, MOST_ARRAYS
from training.runtime.errors import BoundExceeded, BundleError, MalformedBundle

ARRAYS = {"raw": np.arange(24.0).reshape(2, 3, 4), "mask": np.array([1.0, np.nan]), "none": np.zeros((0, 3))}


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def array_file(header: str, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def test_what_is_packed_comes_back() -> None:
    found = unpack_arrays("a.npz", pack_arrays("a.npz", ARRAYS))
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].flags.writeable


def test_numbers_of_other_types_and_orders_are_read_as_float64() -> None:
    buffer = io.BytesIO()
    columns = np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3))
    np.savez(buffer, columns=columns, flags=np.array([True, False]))
    found = unpack_arrays("a.npz", buffer.getvalue())
    np.testing.assert_array_equal(found["columns"], columns)
    assert found["columns"].dtype == np.float64
    assert found["flags"].tolist() == [1.0, 0.0]


def refused_within(content: bytes, most_bytes: int) -> BundleError:
    """The error, from a reading that takes no more memory than that."""
    tracemalloc.start()
    try:
        with pytest.raises(BundleError) as caught:
            unpack_arrays("a.npz", content)
        assert tracemalloc.get_traced_memory()[1] < most_bytes
    finally:
        tracemalloc.stop()
    return caught.value


@pytest.mark.parametrize("members", [1, 20])
def test_an_archive_that_unpacks_to_more_than_a_gigabyte_is_refused(members: int) -> None:
    content = archive_bomb(1100 // members * MIB, members)
    assert len(content) < 2 * MIB
    error = refused_within(content, 5 * MIB)
    assert isinstance(error, BoundExceeded)
    assert f"expected {MOST_ARRAY_BYTES:,} at most" in str(error)


def test_a_member_yields_no_more_than_the_archive_tells() -> None:
    """It tells 1 KiB of a member that unpacks to 100 MiB."""
    error = refused_within(archive_bomb(100 * MIB, told=1024), MIB)
    assert isinstance(error, MalformedBundle)


def test_the_bombs_are_true() -> None:
    with zipfile.ZipFile(io.BytesIO(archive_bomb(3 * MIB, 2))) as file:
        assert [len(file.read(name)) for name in file.namelist()] == [3 * MIB] * 2


def test_a_directory_of_many_members_is_not_read() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for number in range(20_000):
            file.writestr(f"{number}.npy", b"")
    error = refused_within(buffer.getvalue(), MIB)
    assert "has 20000 members listed in" in str(error)
    assert f"expected {MOST_ARRAYS} in" in str(error)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (0, -1), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 99999999999), }",
        "{'descr': '<U9', 'fortran_order': False, 'shape': (), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (), }",
        "{'descr': '<f1', 'fortran_order': False, 'shape': (), }",
        "{'descr': 'nothing', 'fortran_order': False, 'shape': (), }",
        "{'shape': ()}",
        "-" * 200 + "1",
        "(" * 200,
        "[" * 5000,
        "",
    ],
)
def test_a_header_makes_no_room_for_what_is_not_there(header: str) -> None:
    assert isinstance(refused_within(archive(raw=array_file(header + "\n")), MIB), MalformedBundle)


def test_what_is_too_much_is_not_packed() -> None:
    big = np.broadcast_to(np.zeros(1), (MOST_ARRAY_BYTES // 8 + 1,))
    with pytest.raises(BoundExceeded, match=r"golden\.npz: unpacks to"):
        pack_arrays("golden.npz", {"raw": big})
    with pytest.raises(BoundExceeded, match=f"has {MOST_ARRAYS + 1} arrays"):
        pack_arrays("golden.npz", {str(n): np.zeros(1) for n in range(MOST_ARRAYS + 1)})


@given(st.data())
def test_a_changed_archive_is_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(pack_arrays("a.npz", ARRAYS))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)) | st.just(len(content)))
    with suppress(BundleError):
        unpack_arrays("a.npz", bytes(content[:cut]))
