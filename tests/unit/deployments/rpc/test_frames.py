from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.rpc.frames import MOST_BODY_BYTES, BadFrame, Frame, FrameReader, Kind, to_bytes

FRAMES = st.builds(Frame, st.sampled_from(Kind), st.integers(0, 2**64 - 1), st.binary(max_size=40).map(bytes))


@given(st.lists(FRAMES, max_size=6), st.lists(st.integers(1, 50), min_size=1))
def test_frames_are_found_however_what_comes_is_cut(frames: list[Frame], cuts: list[int]) -> None:
    data = b"".join(to_bytes(frame) for frame in frames)
    reader = FrameReader()
    found: list[Frame] = []
    while data:
        for cut in cuts:
            piece, data = data[:cut], data[cut:]
            found += reader.feed(piece)
    assert found == frames


def test_a_frame_is_a_head_of_13_bytes_and_the_body() -> None:
    assert to_bytes(Frame(Kind.CALL, 258, b"ab")) == b"\0\0\0\2" + b"\1" + b"\0\0\0\0\0\0\1\2" + b"ab"


def test_what_is_longer_than_allowed_is_refused_before_it_is_there() -> None:
    head = to_bytes(Frame(Kind.KEY, 0, b"123456789"))[:13]
    with pytest.raises(BadFrame, match="9 bytes, expected at most 8"):
        list(FrameReader(most_body_bytes=8).feed(head))
    with pytest.raises(BadFrame, match="expected at most"):
        to_bytes(Frame(Kind.CALL, 0, bytes(MOST_BODY_BYTES + 1)))


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(BadFrame, match="kind"):
        list(FrameReader().feed(b"GET / HTTP/1.1\r\n"))
