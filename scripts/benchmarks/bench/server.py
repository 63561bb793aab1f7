"""A start of a contender: until it answers rightly, and until nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import httpx
import psutil
from ulid_transform import ulid_now

from scripts.benchmarks.bench.contender import Contender, Site
from scripts.benchmarks.bench.models import BenchmarkRows
from scripts.benchmarks.bench.usage import ProcessTree
from scripts.benchmarks.bench.wrk import Target
from scripts.host import processes
from scripts.host.processes import RUN_ID_VARIABLE
from training.runtime.settings import REPOSITORY

_START_S = 240.0
_POLL_S = 0.25
_STOP_S = 60.0
# ONNX computes in float32, and a tree may then turn the other way at a threshold: of 100 trees it is one
_TOLERANCE = 0.1
_CHECKED_ROWS = 8


class CannotServe(RuntimeError):
    """A contender did not start, or says something else than its model."""


class Server:
    """A contender as a context: started and checked at its begin, gone at its end.

    Args:
        contender: what is started.
        site: where.
        rows: that are sent, with what its model answers.

    Raises:
        CannotServe: at the begin; the message ends with the last line that it printed.
    """

    def __init__(self, contender: Contender, site: Site, rows: BenchmarkRows) -> None:
        self._contender = contender
        self._rows = rows
        self._log = site.folder / "output.log"
        self._run_id = ulid_now()
        self._site = site
        self._child: subprocess.Popen[bytes] | None = None
        self.target = Target(site.port, contender.path, contender.headers(site), contender.bodies(rows.rows))

    def __enter__(self) -> Self:
        launch = self._contender.launch(self._site)
        environment = {name: text for name, text in os.environ.items() if not name.startswith("RAY")}
        environment |= {**launch.environment, RUN_ID_VARIABLE: self._run_id}
        with self._log.open("wb") as log:
            self._child = subprocess.Popen(
                launch.command,
                cwd=REPOSITORY,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        try:
            self.tree = ProcessTree(psutil.Process(self._child.pid), self._run_id)
            self._wait_until_right()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self._stop()

    def _wait_until_right(self) -> None:
        assert self._child is not None, "started before"
        deadline_s = time.monotonic() + _START_S
        address = f"http://127.0.0.1:{self._site.port}{self.target.path}"
        with httpx.Client(headers=dict(self.target.headers), timeout=10) as client:
            # several: each replica of what is replicated has to be ready
            while not all(_answers(client, address, body) for body in self.target.bodies[:_CHECKED_ROWS]):
                if self._child.poll() is not None:
                    raise CannotServe(f"it ended with {self._child.returncode}: {self._last_line()}")
                if time.monotonic() > deadline_s:
                    raise CannotServe(f"no answer after {_START_S:g} s: {self._last_line()}")
                time.sleep(_POLL_S)
            self._check(client, address)

    def _check(self, client: httpx.Client, address: str) -> None:
        for body, expected in list(zip(self.target.bodies, self._rows.expected, strict=True))[:_CHECKED_ROWS]:
            try:
                answer = client.post(address, content=body).raise_for_status()
            except httpx.HTTPError as error:
                raise CannotServe(f"it answered before, and then: {error}") from error
            answered = self._contender.answer(answer.json())
            if not abs(answered - expected) <= _TOLERANCE:
                raise CannotServe(f"it is another model: got {answered:g}, expected {expected:g}")

    def _stop(self) -> None:
        assert self._child is not None, "started before"
        everything = self.tree.alive()
        self._child.send_signal(signal.SIGTERM)
        try:
            self._child.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        rest = {*everything, *self.tree.alive()}
        processes.end([process for process in rest if processes.is_alive(process)], patience_s=5)

    def _last_line(self) -> str:
        lines: Sequence[str] = self._log.read_text(errors="replace").strip().splitlines()
        return f"{lines[-1][:200] if lines else 'it printed nothing'} ({self._log})"


def _answers(client: httpx.Client, address: str, body: str) -> bool:
    try:
        return client.post(address, content=body).status_code == 200
    except httpx.TransportError:
        return False
