"""Minutes of requests with truths, while a part of the system is killed every 20 s."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle

import httpx
import psutil
import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.pool import NullPool

from deployments.store import Store
from deployments.store.sql.schema import truths
from scripts.host.processes import of_run
from scripts.launcher.run_state import RunState
from scripts.launcher.serve_settings import ray_token_file
from tests.faults.load import RETRIES, Load, LoadGenerator, tell
from tests.support.killing import Replicas
from tests.support.system import RunningSystem, running_system, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

RATE_PER_S = 100
KILL_PERIOD_S = 20.0
ANSWERED = 0.999
BACK_WITHIN_S = 60.0
# application and deployment; HAProxy is a process of its own
VICTIMS = (
    ("apogee", "Router"),
    ("apogee", "FeatureScaler"),
    ("apogee", "mlp"),
    ("root", "Monitor"),
    ("root", "LifecycleController"),
    ("", "haproxy"),
)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    with running_system(tmp_path_factory.mktemp("soak"), "fast", routers=2, scalers=2) as running:
        yield running


class Killer:
    """Kills one victim after another, each when the one before is back.

    Attributes:
        kills: how often each victim was killed.
        slowest_back_s: by victim, the longest time until it was back.
    """

    def __init__(self, system: RunningSystem) -> None:
        state = RunState.read(system.settings.var)
        assert state is not None
        self._run_id = state.run_id
        self._replicas = Replicas(system.dashboard_url, ray_token_file(system.settings.var))
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self.kills: Counter[str] = Counter()
        self.slowest_back_s: dict[str, float] = {}

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def check(self) -> None:
        """Raise what went wrong in it."""
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            for application, name in cycle(VICTIMS):
                if self._ended.wait(KILL_PERIOD_S):
                    return
                self._kill(name, partial(self._pids, application, name))
        except BaseException as error:  # noqa: BLE001 - raised in the thread that ends it
            self._failure = error

    def _kill(self, name: str, pids: Callable[[], list[int]]) -> None:
        wait_until(lambda: pids() != [], BACK_WITHIN_S, f"the processes of {name} are known")
        before = pids()
        os.kill(before[0], signal.SIGKILL)
        killed_s = time.monotonic()
        self.kills[name] += 1

        def is_back() -> bool:
            found = pids()
            return before[0] not in found and len(found) >= len(before)

        wait_until(is_back, BACK_WITHIN_S, f"{name} is back")
        back_s = time.monotonic() - killed_s
        self.slowest_back_s[name] = max(back_s, self.slowest_back_s.get(name, 0))

    def _pids(self, application: str, name: str) -> list[int]:
        if name == "haproxy":
            return [one.pid for one in of_run(self._run_id) if _name_of(one) == name]
        try:
            return self._replicas.pids(application, name)
        except (httpx.HTTPError, KeyError):
            return []  # the dashboard is busy


def _name_of(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


def test_nothing_is_lost_and_nothing_is_stuck(system: RunningSystem, request: pytest.FixtureRequest) -> None:
    minutes = float(request.config.getoption("--soak-minutes"))
    generator = LoadGenerator(system, RATE_PER_S, retries=RETRIES, with_truths=True)
    killer = Killer(system)
    killer.start()
    try:
        load = asyncio.run(generator.run(60 * minutes))
    finally:
        killer.stop()
    backs = ", ".join(f"{name} {back_s:.0f}" for name, back_s in killer.slowest_back_s.items())
    tell(
        f"{minutes:g} minutes, a kill every {KILL_PERIOD_S:g} s",
        load,
        f"; {killer.kills.total()} kills, {len(load.truths)} truths, "
        f"{load.failed_truth_calls} calls with truths sent again; slowest back, s: {backs}",
    )
    killer.check()
    assert load.answered >= ANSWERED, load.statuses
    assert_truths_are_kept(system, load)
    assert_nothing_is_stuck(system)


def assert_truths_are_kept(system: RunningSystem, load: Load) -> None:
    """Check each truth that was acknowledged, be its prediction in the journal or lost with a router."""
    assert len(load.truths) > 0.99 * load.statuses[200]
    engine = create_engine(system.settings.store_url, poolclass=NullPool)
    with engine.connect() as connection:
        kept = {row.id: row.value for row in connection.execute(select(truths.c.id, truths.c.value))}
    lost = {key for key, value in load.truths.items() if kept.get(key, {}).get("apogee_m") != value}
    assert lost == set()


def assert_nothing_is_stuck(system: RunningSystem) -> None:
    with httpx.Client(headers={"Authorization": f"Bearer {system.key}"}, timeout=30) as client:
        wait_until(lambda: client.get(f"{system.url}/healthz").status_code == 200, 60, "all is ready")
        wait_until(lambda: client.get(f"{system.url}/-/ready").status_code == 200, 60, "HAProxy says so")
        assert client.get(f"{system.url}/apogee/info").json()["held_back"] == {}
        # the Monitor has read up to the newest truth
        counts = Store(system.settings.store_url).counts("apogee")
        assert counts.joined > 0
        wait_until(
            lambda: client.get(f"{system.url}/apogee/monitor").status_code == 200, 60, "the Monitor answers"
        )
    store = Store(system.settings.store_url)
    assert store.promotions.open("apogee") == []
    # what is replayed again and again may look like drift: a retraining that waits says what for
    open_ones = [one for one in store.retrainings.latest("apogee") if one.is_open]
    assert all(one.state == "running" or one.waits_for for one in open_ones), open_ones
