"""Imports Ray Serve without pandas, which it takes along where it finds it, and needs for tables alone.

Ray's workers preload this module (RAY_preload_python_modules): a process of Serve is 30 MB smaller, and
starts sooner. Whoever needs pandas can import it afterwards.
"""

from __future__ import annotations

import sys

_TAKEN_ALONG = "pandas"

if _TAKEN_ALONG not in sys.modules:
    sys.modules[_TAKEN_ALONG] = None  # type: ignore[assignment]  # reads as: not installed
    try:
        import ray.serve  # noqa: F401
    finally:
        del sys.modules[_TAKEN_ALONG]
