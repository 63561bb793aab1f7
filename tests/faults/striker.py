"""Kills what a stage of the loop has for it, by process id, and sees that it comes back."""

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

_LOOK_S = 0.1
_BACK_LOOK_S = 0.5
ROUTERS = 2


class Victim(Protocol):
    """A part of the system."""

    def pids(self) -> list[int]:
        """Its processes that do their work."""

    def is_back(self, killed: int) -> bool:
        """Whether there are as many as there should be, without the one that was killed."""


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


def victims_of(store: Store, replicas: Replicas) -> dict[str, Victim]:
    """By the names of the table."""
    return {
        "LifecycleController": ReplicaVictim(replicas, "root", "LifecycleController", 1),
        "Monitor": ReplicaVictim(replicas, "root", "Monitor", 1),
        "Router": ReplicaVictim(replicas, WORKLOAD, "Router", ROUTERS),
        JOB: JobVictim(store),
    }


@dataclass
class Strike:
    """One kill.

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
    """Waits for the stage, and strikes, in a thread of its own: kills and the load must not wait for another.

    Args:
        store: tells where the loop is.
        stage: when to strike.
        named: what to strike, of the stage's victims.
        victims: how to find them.

    Attributes:
        strikes: so far.
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
        """The first request is sent now; has no effect on later calls."""
        if not self._begun_s:
            self._begun_s = time.monotonic()
            self._thread.start()

    def end(self) -> None:
        """Strike no more."""
        self._ended.set()
        if self._begun_s:
            self._thread.join()

    @property
    def has_all_back(self) -> bool:
        """Whether everything was killed and is back. Raises what went wrong with the kills."""
        if self._failure is not None:
            raise self._failure
        struck = len(self.strikes) == len(self._named)
        return struck and all(one.back_after_s is not None for one in self.strikes)

    @property
    def _now_s(self) -> float:
        return time.monotonic() - self._begun_s

    def _run(self) -> None:
        try:
            while not self._is_on() and not self._ended.wait(_LOOK_S):
                pass
            for name in self._named:
                if not self._ended.is_set():
                    self._strike(name)
            while not self.has_all_back and not self._ended.wait(_BACK_LOOK_S):
                self._look_for_the_killed()
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

    def _look_for_the_killed(self) -> None:
        for strike in self.strikes:
            if strike.back_after_s is None and self._is_back(strike):
                strike.back_after_s = self._now_s - strike.at_s

    def _is_back(self, strike: Strike) -> bool:
        try:
            return self._victims[strike.victim].is_back(strike.pid)
        except (httpx.HTTPError, KeyError):
            return False  # the dashboard is busy, or tells of nothing yet
