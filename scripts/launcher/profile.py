"""The two ways to run Serve."""

from __future__ import annotations

from enum import StrEnum


class Profile(StrEnum):
    """How Serve is run: `fast` behind HAProxy in throughput mode, `plain` as Serve does by default."""

    FAST = "fast"
    PLAIN = "plain"
