"""The frames of a connection: a length, a kind, the number of a call, and a body."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

_HEADER = struct.Struct("!IBQ")
# 10,000 windows of 50 samples of 4 fields are 16 MB
MOST_BODY_BYTES = 64 * 1024 * 1024


class Kind(IntEnum):
    """The kind of a frame."""

    KEY = 0
    CALL = 1
    ANSWER = 2
    FAILURE = 3


_LAST_KIND = max(Kind)


class BadFrame(ValueError):
    """A frame of an unknown kind, or one that is too long: the connection is of no use any more."""


class Frame(NamedTuple):
    """A message of a connection.

    Attributes:
        call: its number on this connection, which the answer has too.
        body: pickled arguments or answer; UTF-8 of a reason; the bytes of a key.
    """

    kind: Kind
    call: int
    body: bytes


def to_bytes(frame: Frame) -> bytes:
    """Encode a frame.

    Raises:
        BadFrame: the body is longer than the other end takes.
    """
    if len(frame.body) > MOST_BODY_BYTES:
        raise BadFrame(f"a body of {len(frame.body):,} bytes, expected at most {MOST_BODY_BYTES:,}")
    return _HEADER.pack(len(frame.body), frame.kind, frame.call) + frame.body


class FrameReader:
    """A reader that finds the frames in received data, however it is cut.

    Args:
        most_body_bytes: of a frame.
    """

    def __init__(self, most_body_bytes: int = MOST_BODY_BYTES) -> None:
        self.most_body_bytes = most_body_bytes
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that `data` completes.

        Raises:
            BadFrame: the data is no frame.
        """
        self._buffer += data
        while len(self._buffer) >= _HEADER.size:
            length, kind, call = _HEADER.unpack_from(self._buffer)
            if kind > _LAST_KIND or length > self.most_body_bytes:
                raise BadFrame(
                    f"kind {kind} with {length:,} bytes, expected at most {self.most_body_bytes:,}"
                )
            end = _HEADER.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            yield Frame(Kind(kind), call, body)
