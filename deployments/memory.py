"""Giving memory back to the system that was needed for a moment only."""

from __future__ import annotations

import ctypes


def give_back_free_memory() -> None:
    """Have the C library return what is free of its heap; nothing happens where it cannot.

    A random forest takes twice its size while ONNX Runtime reads it, and glibc would keep the other half.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)
