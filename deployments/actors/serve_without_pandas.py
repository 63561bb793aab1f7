"""An import of Ray Serve without pandas, which Serve would import, and needs for tables alone.

Ray's workers preload this module (RAY_preload_python_modules): a process of Serve is 30 MB smaller, and
starts sooner. A process can import pandas afterwards.
"""

from __future__ import annotations

import sys

_LEFT_OUT = "pandas"

if _LEFT_OUT not in sys.modules:
    sys.modules[_LEFT_OUT] = None  # type: ignore[assignment]  # reads as: not installed
    try:
        import ray.serve  # noqa: F401
    finally:
        del sys.modules[_LEFT_OUT]
