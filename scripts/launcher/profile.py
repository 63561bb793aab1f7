"""The two ways to run Serve."""

from __future__ import annotations

from enum import StrEnum


class Profile(StrEnum):
    """The way Serve is run: `fast` behind HAProxy in throughput mode, `plain` by Serve's defaults."""

    FAST = "fast"
    PLAIN = "plain"
