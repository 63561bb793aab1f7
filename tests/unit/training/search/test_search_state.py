"""The state of a search is kept whole, and put back over whatever a kill has left."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from training.search.search_state import keep_state, put_back_state


def folder_with(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def files_of(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir() if file.is_file()}


def test_what_a_kill_has_left_gives_way_to_what_was_kept(tmp_path: Path) -> None:
    whole = {"experiment_state-1.json": "two trials", "searcher-state-1.pkl": "asked for two"}
    kept = tmp_path / "state.zip"
    keep_state(folder_with(tmp_path / "written", whole), kept)
    torn = {"experiment_state-1.json": "two tr", "searcher-state-2.pkl": "asked for three"}
    fixed = {"tuner.pkl": "the tuner", "trainable.pkl": "the trial"}
    experiment = folder_with(tmp_path / "experiment", torn | fixed)
    (experiment / "trial-1").mkdir()
    put_back_state(kept, experiment)
    assert files_of(experiment) == whole | fixed
    assert (experiment / "trial-1").is_dir()


def test_a_state_that_cannot_be_kept_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "state.zip"
    keep_state(folder_with(tmp_path / "first", {"experiment_state-1.json": "one"}), kept)

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "write", full_disk)
    with pytest.raises(OSError, match="No space left"):
        keep_state(folder_with(tmp_path / "second", {"experiment_state-2.json": "two"}), kept)
    put_back_state(kept, folder_with(tmp_path / "experiment", {}))
    assert files_of(tmp_path / "experiment") == {"experiment_state-1.json": "one"}


def test_what_is_fixed_is_not_kept(tmp_path: Path) -> None:
    """A search that goes on has a tuner of its own."""
    kept = tmp_path / "state.zip"
    keep_state(folder_with(tmp_path / "written", {"tuner.pkl": "old", "a.json": "{}"}), kept)
    experiment = folder_with(tmp_path / "experiment", {"tuner.pkl": "new"})
    put_back_state(kept, experiment)
    assert files_of(experiment) == {"tuner.pkl": "new", "a.json": "{}"}
