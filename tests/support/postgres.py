"""A real PostgreSQL for tests: a cluster of its own, in a folder of its own, reached by a socket there."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

_DEBIAN = Path("/usr/lib/postgresql")
_TIMEOUT_S = 60.0
# Nothing here has to outlive the machine, and plans are those of what the tests have made known.
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    # without statistics it takes small tables for large ones, and compiles what is done before
    "jit": "off",
    "max_connections": "200",
}


def programs() -> Path | None:
    """The folder of PostgreSQL's programs; None where it is not installed."""
    debian = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda found: int(found.parts[-3]))
    if debian:
        return debian[-1].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


class Cluster:
    """A server of its own; started, stopped and started again.

    Args:
        bin_dir: PostgreSQL's programs.
        folder: all that it writes.
        user: that it runs as, which owns the folder.
    """

    def __init__(self, bin_dir: Path, folder: Path, user: str) -> None:
        self._bin = bin_dir
        self._data = folder / "data"
        self._folder = folder
        self._user = user
        # PostgreSQL refuses to run as root
        self._run_as: dict[str, Any] = {"user": user, "extra_groups": ()} if os.geteuid() == 0 else {}
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        """SQLAlchemy's URL."""
        return f"postgresql+psycopg://{self._user}@/{database}?host={self._folder}"

    def make(self) -> None:
        """The files of the server."""
        command: list[str | Path] = [
            self._bin / "initdb",
            "--pgdata",
            self._data,
            "--username",
            self._user,
            "--no-sync",
        ]
        command += ["--auth", "trust", "--encoding", "UTF8", "--locale", "C"]
        made = subprocess.run(command, capture_output=True, text=True, check=False, **self._run_as)
        assert made.returncode == 0, made.stdout + made.stderr

    def start(self) -> None:
        """Start it, unless it runs, and wait until it answers."""
        if self._process is not None:
            return
        command: list[str | Path] = [self._bin / "postgres", "-D", self._data, "-k", self._folder]
        command += [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        log = self._folder / "log"
        with log.open("ab") as file:
            # not in our group: Ctrl-C is for pytest, which then ends it
            self._process = server = subprocess.Popen(
                command, stdout=file, stderr=file, start_new_session=True, **self._run_as
            )
        deadline_s = time.monotonic() + _TIMEOUT_S
        while not self._answers():
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline_s, f"PostgreSQL does not answer: {log.read_text()}"
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it and its connections; by SIGQUIT as if it had crashed."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_TIMEOUT_S)
            self._process = None

    def execute(self, statement: str) -> None:
        """Run one statement outside of any transaction, in no database of ours."""
        place = {"host": str(self._folder), "user": self._user, "dbname": "postgres"}
        with psycopg.connect(**place, autocommit=True) as connection:  # type: ignore[arg-type]
            connection.execute(statement.encode())

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """A new server; ended and removed afterwards. Skips the test where PostgreSQL is not installed."""
    bin_dir = programs()
    if bin_dir is None:
        pytest.skip(f"PostgreSQL is not installed: no initdb in {_DEBIAN}/*/bin or on the path")
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    # pytest's folders are closed to other users, and too long for the path of a socket
    with tempfile.TemporaryDirectory(prefix="raysonde-") as folder:
        shutil.chown(folder, user)
        cluster = Cluster(bin_dir, Path(folder), user)
        cluster.make()
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()
