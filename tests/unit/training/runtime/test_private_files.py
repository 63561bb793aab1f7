"""Files that only their owner can read."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.runtime.logs import bounded_file
from deployments.store import Store
from scripts.cli.main import app
from training.runtime.manifest import write_files
from training.runtime.private_files import make_files_private, narrow


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def _wide(folder: Path) -> list[Path]:
    """Return what others than its owner may read, write or enter."""
    return [path for path in (folder, *folder.rglob("*")) if _mode(path) & 0o077]


def test_what_a_process_makes_is_its_owners_alone(tmp_path: Path) -> None:
    make_files_private()
    var = tmp_path / "var"
    var.mkdir()
    Store(f"sqlite:///{var}/store.db").create_tables()
    write_files({"a.json": b"{}"}, var / "models" / "bundle", 1)
    bounded_file(var / "logs", "router").close()
    assert {path.name for path in var.iterdir()} >= {"store.db", "models", "logs"}
    assert _wide(var) == []


def test_what_a_command_makes_is_its_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    var = tmp_path / "var"
    monkeypatch.setenv("RAYSONDE_VAR", str(var))
    monkeypatch.delenv("RAYSONDE_STORE_URL", raising=False)
    var.mkdir(mode=0o700)
    assert CliRunner().invoke(app, ["store", "upgrade"]).exit_code == 0
    assert (var / "store.db").exists()
    assert _wide(var) == []


def test_a_folder_from_before_is_narrowed(tmp_path: Path) -> None:
    var, elsewhere = tmp_path / "var", tmp_path / "elsewhere"
    for path in (var / "store.db", var / "secrets" / "for-a-container", elsewhere):
        path.parent.mkdir(exist_ok=True)
        path.touch(mode=0o644)
    (var / "run").touch(mode=0o755)
    (var / "link").symlink_to(elsewhere)
    narrow(var)
    assert (_mode(var), _mode(var / "store.db"), _mode(var / "run")) == (0o700, 0o600, 0o700)
    assert (_mode(elsewhere), _mode(var / "secrets" / "for-a-container")) == (0o644, 0o644)


def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    narrow(tmp_path / "far" / "var")
    assert _mode(tmp_path / "far" / "var") == 0o700


def test_a_shared_folder_stays_shared(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    (tmp_path / "file").touch(mode=0o644)
    narrow(tmp_path)
    assert (_mode(tmp_path), _mode(tmp_path / "file")) == (0o1777, 0o644)
