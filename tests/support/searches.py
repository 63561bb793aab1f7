"""What a search has kept of itself."""

from __future__ import annotations

import zipfile
from fnmatch import fnmatch
from pathlib import Path


def kept_trials(search: Path) -> str:
    """Tune's JSON of the trials in the directory of a search; empty while nothing is kept."""
    kept = search / "state.zip"
    if not kept.is_file():
        return ""
    with zipfile.ZipFile(kept) as archive:
        (name,) = (name for name in archive.namelist() if fnmatch(name, "experiment_state-*.json"))
        return archive.read(name).decode()
