"""A heat wave, as `raysonde demo heal` plays it, in which parts of the system are killed."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from deployments.store import Store
from scripts.demo.console import DemoConsole
from scripts.demo.plan import SHORT
from scripts.demo.play import Played, play
from scripts.demo.staging import demo_stage, plan_system, ready
from scripts.demo.synthetic_weather import WORKLOAD
from scripts.demo.workspace import Home
from scripts.host.interruption import Interruption
from scripts.launcher.profile import Profile
from scripts.launcher.serve_settings import ray_token_file
from scripts.replay.client import Connection
from tests.faults.cells import LoopStage
from tests.faults.striker import ROUTERS, Strike, Striker, victims_of
from tests.support.killing import Replicas
from tests.support.system import with_routers
from training.runtime.settings import REPOSITORY, Settings

SEED = 5
_AT_MOST_S = 600.0


@dataclass(frozen=True)
class Run:
    """What came of it; the system is gone.

    Attributes:
        run_id: the mark of its processes.
        played: what was asked and told.
        strikes: what was killed.
    """

    settings: Settings
    run_id: str
    played: Played
    strikes: Sequence[Strike]

    @property
    def store(self) -> Store:
        """What is left of it."""
        return Store(self.settings.store_url)


def heal_under_faults(folder: Path, stage: LoopStage, victims: Sequence[str]) -> Run:
    """One heat wave, on a system of its own with two router replicas.

    Args:
        folder: of all such runs, which share the first models.
        stage: when to kill.
        victims: what to kill, of those of the stage.
    """
    console, home = Console(width=160), Home(folder)
    with own_environment(), Interruption() as interruption:
        settings = home.move_in(SHORT)
        text = with_routers((REPOSITORY / "serve_config.yaml").read_text(), ROUTERS)
        system = plan_system(settings, Profile.PLAIN, text)
        with ready(console, home, system, interruption, time.monotonic()) as supervisor:
            assert supervisor is not None, "somebody asked to stop"
            store = Store(settings.store_url)
            dashboard = Replicas(system.dashboard_url, ray_token_file(settings.var))
            striker = Striker(store, stage, victims, victims_of(store, dashboard))

            def goes_on() -> bool:
                supervisor.check()
                striker.begin()
                return not interruption.asked

            def waits() -> bool:
                return not (striker.has_all_back and _has_ended(store))

            wave = demo_stage(settings, SHORT, SEED, _AT_MOST_S, goes_on, waits)
            try:
                with DemoConsole(console) as telling:
                    played = asyncio.run(play(Connection.find(settings, system.api_url), wave, telling))
            finally:
                striker.end()
            assert not interruption.asked, "somebody asked to stop"
    return Run(settings, system.run_id, played, striker.strikes)


def _has_ended(store: Store) -> bool:
    """Whether no retraining is under way, and every new version is in service."""
    (newest, *_) = store.retrainings.latest(WORKLOAD, 1)
    under_way = {one.state for one in store.promotions.open(WORKLOAD)}
    judged = {one.arm for one in store.promotions.latest(WORKLOAD)}
    passed = {arm for arm, result in newest.arms.items() if result.passed}
    return not newest.is_open and under_way <= {"probation"} and passed <= judged


@contextmanager
def own_environment() -> Iterator[None]:
    """What the demonstration sets for all that it starts ends with it."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
