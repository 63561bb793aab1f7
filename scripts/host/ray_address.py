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


def _folder(environment: Mapping[str, str] | None) -> Path:
    """Return Ray's folder, as Ray chooses it."""
    from training.runtime.environment import Environment  # here: see there

    variables = Environment.read() if environment is None else Environment.of(environment)
    system = variables.tmpdir if sys.platform == "linux" else None
    return variables.ray_tmpdir or system or Path("/tmp")


def _listens(host: str, port: str) -> bool:
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S):
            return True
    except (OSError, ValueError):
        return False
