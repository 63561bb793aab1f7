"""`var/run.json`: which start is alive, so that a second one and `raysonde down` can find it."""

from __future__ import annotations

from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError


class RunState(BaseModel):
    """A start of the system.

    Attributes:
        run_id: the mark that its processes carry.
        supervisor_pid: process of `raysonde up`.
        supervisor_started_s: its start, seconds since the epoch: process ids are used again.
        ports: those it listens on.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str
    supervisor_pid: int
    supervisor_started_s: float
    ports: tuple[int, ...]

    @classmethod
    def of_this_process(cls, run_id: str, ports: tuple[int, ...]) -> RunState:
        """Return the state of a start that this process supervises."""
        own = psutil.Process()
        return cls(run_id=run_id, supervisor_pid=own.pid, supervisor_started_s=own.create_time(), ports=ports)

    @classmethod
    def read(cls, var: Path) -> RunState | None:
        """Read the state of the last start that did not end in good order, or is still alive."""
        try:
            return cls.model_validate_json(_file(var).read_text())
        except (FileNotFoundError, ValidationError):
            return None

    def write(self, var: Path) -> None:
        """Remember this start."""
        _file(var).write_text(self.model_dump_json())

    @staticmethod
    def forget(var: Path) -> None:
        """Remove the state, once everything is gone."""
        _file(var).unlink(missing_ok=True)

    def supervisor(self) -> psutil.Process | None:
        """Return the process of `raysonde up`, if it is alive."""
        try:
            process = psutil.Process(self.supervisor_pid)
            return process if process.create_time() == self.supervisor_started_s else None
        except psutil.Error:
            return None


def _file(var: Path) -> Path:
    return var / "run.json"
