"""Recorded data and schemas that are not part of the repository: they lie in a folder beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.runtime.settings import REPOSITORY

SHARED = REPOSITORY.parent / "shared"


def recorded_file(*parts: str) -> Path:
    """The file `parts` of the folder; the test is skipped where there is none."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"no {path}: it is not part of the repository")
    return path
