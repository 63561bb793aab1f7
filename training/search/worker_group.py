"""The cores that a worker group holds, given back whenever its trial ends.

Ray Train frees them at the end of a fit. When the process that waits for the fit is stopped or killed, nobody
does: Ray keeps a placement group as long as the job lives, and Train's own cleaner asks the dashboard, which
a training does without. The next worker_group would then wait forever.
"""

from __future__ import annotations

from pathlib import Path

from ray import PlacementGroupID
from ray.util import get_current_placement_group, remove_placement_group
from ray.util.placement_group import PlacementGroup

_FILE = "placement_group"


def remember_group(directory: Path) -> None:
    """Leave the name of this worker's placement group in the directory of the fit."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / _FILE).write_text(get_current_placement_group().id.hex())


def release_group(directory: Path) -> None:
    """Remove the group that is named there, if one is, and what still runs in it."""
    file = directory / _FILE
    try:
        name = file.read_text()
    except FileNotFoundError:
        return
    remove_placement_group(PlacementGroup(PlacementGroupID(bytes.fromhex(name))))
    file.unlink(missing_ok=True)
