"""The striker: it kills the victims of a stage by process id, and waits until they are back."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import httpx

from deployments.domain.retraining import Retraining
from deployments.store import Store
from scripts.demo.synthetic_weather import WORKLOAD
from tests.faults.cells import JOB, LoopStage, Situation
from tests.support.killing import Replicas, driver_of

_STAGE_POLL_S = 0.1
_BACK_POLL_S = 0.5
ROUTERS = 2


class Victim(Protocol):
    """A part of the system that is killed."""

    def pids(self) -> list[int]:
        """Return its running processes."""

    def is_back(self, killed: int) -> bool:
        """Return whether there are enough processes without the killed one."""


@dataclass(frozen=True)
class ReplicaVictim:
    """The replicas of a deployment, `count` of them."""

    replicas: Replicas
    application: str
    deployment: str
    count: int

    def pids(self) -> list[int]:
        return self.replicas.pids(self.application, self.deployment)

    def is_back(self, killed: int) -> bool:
        return len([pid for pid in self.pids() if pid != killed]) >= self.count


@dataclass(frozen=True)
class JobVictim:
    """The job of the newest retraining."""

    store: Store

    def pids(self) -> list[int]:
        driver = driver_of(self._retraining.attempts[-1].job)
        return [driver.pid] if driver else []

    def is_back(self, killed: int) -> bool:
        return not self._retraining.is_open or any(pid != killed for pid in self.pids())

    @property
    def _retraining(self) -> Retraining:
        return self.store.retrainings.latest(WORKLOAD, 1)[0]


def find_victims(store: Store, replicas: Replicas) -> dict[str, Victim]:
    """Return the victims by their names in the table."""
    return {
        "LifecycleController": ReplicaVictim(replicas, "root", "LifecycleController", 1),
        "Monitor": ReplicaVictim(replicas, "root", "Monitor", 1),
        "Router": ReplicaVictim(replicas, WORKLOAD, "Router", ROUTERS),
        JOB: JobVictim(store),
    }


@dataclass
class Strike:
    """A kill.

    Attributes:
        at_s: when, seconds since the first request.
        in_stage: whether the loop was still in the stage.
        back_after_s: until the part was back; None until it is.
    """

    victim: str
    pid: int
    at_s: float
    in_stage: bool
    back_after_s: float | None = None


class Striker:
    """A striker that waits for a stage and kills, in a thread: neither kills nor load wait for the other.

    Args:
        store: has the state of the loop.
        stage: the one to wait for.
        named: names of the stage's victims that are killed.
        victims: all, by name.

    Attributes:
        strikes: the kills so far.
    """

    def __init__(
        self, store: Store, stage: LoopStage, named: Sequence[str], victims: dict[str, Victim]
    ) -> None:
        self.strikes: list[Strike] = []
        self._store = store
        self._stage = stage
        self._named = [name for name in stage.victims if name in named]
        self._victims = victims
        self._begun_s = 0.0
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def begin(self) -> None:
        """Start at the first request; later calls have no effect."""
        if not self._begun_s:
            self._begun_s = time.monotonic()
            self._thread.start()

    def end(self) -> None:
        """Stop killing."""
        self._ended.set()
        if self._begun_s:
            self._thread.join()

    @property
    def has_all_back(self) -> bool:
        """Return whether all victims were killed and are back. Raises the error of a kill."""
        if self._failure is not None:
            raise self._failure
        struck = len(self.strikes) == len(self._named)
        return struck and all(one.back_after_s is not None for one in self.strikes)

    @property
    def _now_s(self) -> float:
        return time.monotonic() - self._begun_s

    def _run(self) -> None:
        try:
            while not self._is_on() and not self._ended.wait(_STAGE_POLL_S):
                pass
            for name in self._named:
                if not self._ended.is_set():
                    self._strike(name)
            while not self.has_all_back and not self._ended.wait(_BACK_POLL_S):
                self._record_returns()
        except BaseException as error:  # noqa: BLE001 - raised in the thread that asks
            self._failure = error

    def _is_on(self) -> bool:
        newest = next(iter(self._store.retrainings.latest(WORKLOAD, 1)), None)
        return self._stage.is_on(Situation(self._now_s, newest, self._store.promotions.open(WORKLOAD)))

    def _strike(self, name: str) -> None:
        pid = self._victims[name].pids()[0]
        in_stage = self._is_on()
        os.kill(pid, signal.SIGKILL)
        self.strikes.append(Strike(name, pid, self._now_s, in_stage))

    def _record_returns(self) -> None:
        for strike in self.strikes:
            if strike.back_after_s is None and self._is_back(strike):
                strike.back_after_s = self._now_s - strike.at_s

    def _is_back(self, strike: Strike) -> bool:
        try:
            return self._victims[strike.victim].is_back(strike.pid)
        except (httpx.HTTPError, KeyError):
            return False  # the dashboard is busy, or has no data yet
