"""The address that `ray start` writes down for the drivers of a machine, and leaves there when it ends."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

_CONNECT_S = 1.0


def forget_dead_address(environment: Mapping[str, str]) -> None:
    """Take it away if nobody listens there: `serve run` and others would wait for that Ray, and fail.

    Args:
        environment: says where Ray has its folder.
    """
    file = Path(environment.get("RAY_TMPDIR") or "/tmp") / "ray" / "ray_current_cluster"
    try:
        host, _, port = file.read_text().strip().rpartition(":")
    except FileNotFoundError:
        return
    if not _listens(host, port):
        file.unlink(missing_ok=True)


def _listens(host: str, port: str) -> bool:
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S):
            return True
    except (OSError, ValueError):
        return False
