"""The machine, and the versions of everything that is compared: what the numbers hold for."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import psutil

_OWN = ("ray", "onnxruntime", "fastapi", "uvicorn", "scikit-learn", "numpy")
_THEIRS = ("fastapi", "uvicorn", "litserve", "bentoml", "mlflow", "scikit-learn", "numpy")
_PRINT_VERSIONS = """
import sys
from importlib.metadata import version
print(*[f"{name} {version(name)}" for name in sys.argv[1:]], sep=", ")
"""


def machine() -> str:
    """Processor, cores, memory and system, in one line."""
    memory_gb = psutil.virtual_memory().total / 1e9
    system = f"{platform.system()} {platform.release().partition('-')[0]}"
    return f"{_processor()}, {psutil.cpu_count()} cores, {memory_gb:.0f} GB, {system}"


def versions(others: Path, wrk: str) -> list[str]:
    """Return a line an environment.

    Args:
        others: folder of the programs of the contenders' environment.
        wrk: its path.
    """
    own = ", ".join(f"{name} {version(name)}" for name in _OWN)
    theirs = _first_line([str(others / "python"), "-c", _PRINT_VERSIONS, *_THEIRS])
    return [
        f"Python {platform.python_version()}",
        f"raysonde and the naive graph: {own}",
        f"the others: {theirs}",
        _first_line([wrk, "-v"]).split(" [")[0],
    ]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def _first_line(command: Sequence[str]) -> str:
    """Return the first line that a command prints; wrk ends its version with an error code."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return next(iter((done.stdout or done.stderr).splitlines()), "unknown")
