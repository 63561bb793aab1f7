"""The address that `ray start` writes down for the drivers of a machine, and leaves there when it ends."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from pathlib import Path

_CONNECT_S = 1.0


def forget_dead_address(environment: Mapping[str, str] | None = None) -> None:
    """Take it away if nobody listens there: `serve run` and others would wait for that Ray, and fail.

    Args:
        environment: says where Ray has its folder; None: that of this process.
    """
    file = _folder(environment) / "ray" / "ray_current_cluster"
    try:
        host, _, port = file.read_text().strip().rpartition(":")
    except FileNotFoundError:
        return
    if not _listens(host, port):
        file.unlink(missing_ok=True)


<<<<<<< 4ab3f84914acceaac815cf57594e5abc77eed98c
def _folder(environment: Mapping[str, str]) -> Path:
    """Return Ray's folder, as Ray chooses it."""
    names = ("RAY_TMPDIR", "TMPDIR") if sys.platform == "linux" else ("RAY_TMPDIR",)
    return Path(next((environment[name] for name in names if name in environment), "/tmp"))
=======
def _folder(environment: Mapping[str, str] | None) -> Path:
    """As Ray chooses it."""
    from training.runtime.environment import Environment  # here: see there

    told = Environment.read() if environment is None else Environment.of(environment)
    system = told.tmpdir if sys.platform == "linux" else None
    return told.ray_tmpdir or system or Path("/tmp")
>>>>>>> f3656d0e7417b059384784158cb56e8e6ee0f08f


def _listens(host: str, port: str) -> bool:
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S):
            return True
    except (OSError, ValueError):
        return False
