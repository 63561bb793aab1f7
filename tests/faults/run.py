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
from scripts.demo.workspace import Workspace
from scripts.host.interruption import Interruption
from scripts.launcher.profile import Profile
from scripts.launcher.serve_settings import ray_token_file
from scripts.replay.client import Connection
from tests.faults.cells import LoopStage
from tests.faults.striker import ROUTERS, Strike, Striker, find_victims
from tests.support.killing import Replicas
from tests.support.system import with_routers
from training.runtime.settings import REPOSITORY, Settings

SEED = 5
_AT_MOST_S = 600.0


@dataclass(frozen=True)
class Run:
    """The result of a run, whose system is gone.

    Attributes:
        run_id: the one of its processes.
        played: requests and events.
        strikes: the kills.
    """

    settings: Settings
    run_id: str
    played: Played
    strikes: Sequence[Strike]

    @property
    def store(self) -> Store:
        """The store that it left."""
        return Store(self.settings.store_url)


def heal_under_faults(folder: Path, stage: LoopStage, victims: Sequence[str]) -> Run:
    """Play one heat wave, on a system of its own with two router replicas.

    Args:
        folder: of all such runs, which share the first models.
        stage: when to kill.
        victims: what to kill, of those of the stage.
    """
    console, workspace = Console(width=160), Workspace(folder)
    with own_environment(), Interruption() as interruption:
        settings = workspace.prepare(SHORT)
        text = with_routers((REPOSITORY / "serve_config.yaml").read_text(), ROUTERS)
        system = plan_system(settings, Profile.PLAIN, text)
        with ready(console, workspace, system, interruption, time.monotonic()) as supervisor:
            assert supervisor is not None, "somebody asked to stop"
            store = Store(settings.store_url)
            dashboard = Replicas(system.dashboard_url, ray_token_file(settings.var))
            striker = Striker(store, stage, victims, find_victims(store, dashboard))

            def goes_on() -> bool:
                supervisor.check()
                striker.begin()
                return not interruption.requested

            def waits() -> bool:
                return not (striker.has_all_back and _has_ended(store))

            wave = demo_stage(settings, SHORT, SEED, _AT_MOST_S, goes_on, waits)
            try:
                with DemoConsole(console) as demo_console:
                    played = asyncio.run(play(Connection.find(settings, system.api_url), wave, demo_console))
            finally:
                striker.end()
            assert not interruption.requested, "somebody asked to stop"
    return Run(settings, system.run_id, played, striker.strikes)


def _has_ended(store: Store) -> bool:
    """Return whether no retraining is open, and every new version is in service."""
    (newest, *_) = store.retrainings.latest(WORKLOAD, 1)
    open_states = {one.state for one in store.promotions.open(WORKLOAD)}
    promoted = {one.arm for one in store.promotions.latest(WORKLOAD)}
    passed = {arm for arm, result in newest.arms.items() if result.passed}
    return not newest.is_open and open_states <= {"probation"} and passed <= promoted


@contextmanager
def own_environment() -> Iterator[None]:
    """Restore the environment, which the demonstration sets for its processes."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
