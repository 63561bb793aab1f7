"""Files that only their owner can read: journals, keys, models and logs are nobody else's."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_files_private() -> None:
    """Have this process, and those that it starts, make files of mode 0600 and folders of mode 0700."""
    os.umask(_OTHERS)


def narrow(folder: Path) -> None:
    """Take the rights of others from a folder of state and the files right in it, or make it.

    Below it nobody else comes through. What belongs to somebody else, or is shared as /tmp is, stays.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & stat.S_ISVTX:
        return
    for path in (folder, *folder.iterdir()):
        found = path.lstat()
        is_ours = found.st_uid == os.geteuid()
        is_kept = path == folder or stat.S_ISREG(found.st_mode)
        if is_ours and is_kept and found.st_mode & _OTHERS:
            path.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
