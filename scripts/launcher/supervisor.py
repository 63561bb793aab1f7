"""Keeps one child process that serves, and leaves nothing of it behind."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from scripts.host import processes
from scripts.host.interruption import Interruption
from scripts.launcher.preflight import is_free
from scripts.launcher.readiness import Stage

_GOOD_ORDER_S = 45.0
_POLL_S = 0.2
_WATCH_S = 1.0
_NOTABLE = re.compile(r"\b(WARNING|WARN|ERROR|CRITICAL|Traceback)\b")
# Ray says this of its own shutdown, whatever we do
_NOT_NOTABLE = re.compile(
    r"graceful_shutdown failed|worker processes have been started|FutureWarning|DeprecationWarning"
)


class ChildDied(RuntimeError):
    """The child ended by itself, or said that it will never be ready."""


@dataclass(frozen=True)
class Leftovers:
    """Processes and ports that are still there after everything was tried."""

    processes: tuple[int, ...]
    ports: tuple[int, ...]

    def __bool__(self) -> bool:
        return bool(self.processes or self.ports)


class Supervisor:
    """A child in a session of its own, from its start to the end of its last descendant.

    Args:
        command: what to run.
        environment: of the child; carries the mark of the run.
        log: file for what the child prints, the one of the last run is kept beside it; None: our own output.
        run_id: the mark.
        ports: those that must be free at the end.
        stragglers_s: how long descendants that outlive the child, and ports, are waited for.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: dict[str, str],
        log: Path | None,
        run_id: str,
        ports: tuple[int, ...],
        stragglers_s: float = 5.0,
    ) -> None:
        self._command = command
        self._environment = environment
        self._log = log
        self._run_id = run_id
        self._ports = ports
        self._stragglers_s = stragglers_s
        self._child: subprocess.Popen[bytes] | None = None
        self._read_bytes = 0

    def start(self) -> None:
        """Start the child; its own session keeps the terminal's Ctrl-C from it, which comes from `stop`."""
        if self._log is None:
            self._child = self._spawn(None)
            return
        self._log.parent.mkdir(parents=True, exist_ok=True)
        if self._log.exists():
            self._log.replace(self._log.with_suffix(".before.log"))
        with self._log.open("wb") as file:
            self._child = self._spawn(file)

    def wait(self, stop: Interruption) -> int | None:
        """Wait for the child to end; its exit code, or None when somebody asked to stop before."""
        assert self._child is not None, "start comes first"
        while self._child.poll() is None and not stop.wait(_POLL_S):
            pass
        return self._child.poll()

    def wait_until_ready(
        self, poll: Callable[[], Stage], show: Callable[[str], None], stop: Interruption
    ) -> None:
        """Poll until the system is ready or somebody asks to stop.

        Raises:
            ChildDied: it will not be ready.
        """
        while not stop.wait(_POLL_S):
            self.check()
            stage = poll()
            if stage.failure:
                raise ChildDied(stage.failure)
            show(stage.text)
            if stage.ready:
                return

    def watch(self, show: Callable[[str], None], stop: Interruption) -> None:
        """Show warnings and errors in the child's log until somebody asks to stop.

        Raises:
            ChildDied: the child ended by itself.
        """
        while not stop.wait(_WATCH_S):
            self.check()
            for line in self._new_lines():
                if _NOTABLE.search(line) and not _NOT_NOTABLE.search(line):
                    show(line)

    def check(self) -> None:
        """Check that the child is alive.

        Raises:
            ChildDied: it ended by itself.
        """
        assert self._child is not None, "start comes first"
        code = self._child.poll()
        if code is not None:
            raise ChildDied(f"the serving process ended by itself with exit code {code}")

    def stop(self, interruption: Interruption) -> Leftovers:
        """Ask the child to end in good order, wait, then end whatever is left."""
        child = self._child
        if child is None:
            return Leftovers((), ())
        # read before the child ends: its descendants are harder to find without their parent
        seen = processes.of_run(self._run_id, child.pid)
        if child.poll() is None and not interruption.hurry:
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(signal.SIGINT)
            deadline_s = time.monotonic() + _GOOD_ORDER_S
            while child.poll() is None and time.monotonic() < deadline_s and not interruption.hurry:
                time.sleep(_POLL_S)
        patience_s = 0.0 if interruption.hurry else self._stragglers_s
        processes.wait_until_gone(self._alive(seen), patience_s)
        left = processes.end(self._alive(seen), patience_s)
        child.wait()
        return Leftovers(tuple(process.pid for process in left), self._taken_ports())

    def last_lines(self, count: int = 15) -> list[str]:
        """Return the end of the child's log."""
        if self._log is None or not self._log.exists():
            return []
        return self._log.read_text(errors="replace").splitlines()[-count:]

    def _spawn(self, output: IO[bytes] | None) -> subprocess.Popen[bytes]:
        errors = subprocess.STDOUT if output else None
        return subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )

    def _alive(self, seen: Sequence[psutil.Process]) -> list[psutil.Process]:
        session = self._child.pid if self._child else None
        return list({*processes.of_run(self._run_id, session), *filter(processes.is_alive, seen)})

    def _new_lines(self) -> list[str]:
        if self._log is None:
            return []
        with self._log.open("rb") as file:
            file.seek(self._read_bytes)
            text = file.read()
        complete = text.rfind(b"\n") + 1
        self._read_bytes += complete
        return text[:complete].decode(errors="replace").splitlines()

    def _taken_ports(self) -> tuple[int, ...]:
        deadline_s = time.monotonic() + self._stragglers_s
        taken = [port for port in self._ports if not is_free(port)]
        while taken and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)
            taken = [port for port in taken if not is_free(port)]
        return tuple(taken)
