"""Progress of long work: stages by name, each with its own count."""

from __future__ import annotations

from collections.abc import Callable

from training.sources.base import Progress, no_progress

# stages(name) -> the progress of that stage
Stages = Callable[[str], Progress]


def no_stages(name: str) -> Progress:
    """Tell nobody."""
    return no_progress
