"""The state of a search, kept so that a kill at any moment leaves one that belongs together.

Tune writes its state as several files, once a second, and copies them to the folder of the experiment in the
background while it writes the next. A kill meanwhile leaves there half of a file, or files of two moments:
with trials of one and a searcher of the other the search ends with a trial too few or too many. Here all
files of one moment are one file, which is there whole or not at all.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

# Tune writes these once, before the first trial
_FIXED = {"tuner.pkl", "trainable.pkl"}


class SearchStateWriter(tune.Callback):  # type: ignore[misc]
    """Keeps each state that Tune writes, from the thread that writes them: none is changed meanwhile."""

    def __init__(self, kept: Path) -> None:
        self._kept = kept
        self._of_ns = 0

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Keep what Tune has written since the last step, if it has."""
        if not trials:
            return
        written = Path(trials[0].local_experiment_path)
        at_ns = max((file.stat().st_mtime_ns for file in _states_in(written)), default=0)
        if at_ns > self._of_ns:
            keep_state(written, self._kept)
            self._of_ns = at_ns


def keep_state(written: Path, kept: Path) -> None:
    """Make the files in the folder `written` the file `kept`, in place of what it was."""
    new = kept.with_suffix(".new")
    with zipfile.ZipFile(new, "w") as archive:
        for file in _states_in(written):
            archive.write(file, file.name)
    new.replace(kept)


def put_back_state(kept: Path, experiment: Path) -> None:
    """Give the folder of an experiment the state that is kept, instead of any that a kill has left there."""
    for file in _states_in(experiment):
        file.unlink()
    with zipfile.ZipFile(kept) as archive:
        archive.extractall(experiment)


def _states_in(folder: Path) -> list[Path]:
    return [
        file
        for file in folder.glob("*")
        if file.suffix in {".json", ".pkl"} and file.is_file() and file.name not in _FIXED
    ]
