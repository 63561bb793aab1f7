"""A replica that hangs without dying: what callers see until it is passed over, and until it is replaced."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import psutil
import pytest

from scripts.launcher.serve_settings import ray_token_file
from tests.faults.load import LoadGenerator, run_load, run_load_beside, tell
from tests.support.killing import Replicas
from tests.support.system import RunningSystem, running_system, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

RATE_PER_S = 50
DURATION_S = 60.0


@dataclass(frozen=True)
class Victim:
    """A deployment of which one replica hangs.

    Attributes:
        answered: share of the requests that is answered by 200, at least.
        gap_s: longest time without an answer.
    """

    deployment: str
    answered: float
    gap_s: float


VICTIMS = (Victim("mlp", 0.999, 3.0), Victim("FeatureScaler", 0.999, 3.0), Victim("Router", 0.998, 3.0))


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    with running_system(tmp_path_factory.mktemp("hung"), "fast", routers=2, scalers=2) as running:
        yield running


@pytest.mark.parametrize("victim", VICTIMS, ids=lambda one: one.deployment)
def test_others_answer_and_it_is_replaced(system: RunningSystem, victim: Victim) -> None:
    replicas = Replicas(system.dashboard_url, ray_token_file(system.settings.var))
    before = replicas.pids("apogee", victim.deployment)
    hung = before[0]

    def is_replaced() -> bool:
        try:
            found = replicas.pids("apogee", victim.deployment)
        except (httpx.HTTPError, KeyError):
            return False
        return hung not in found and len(found) >= len(before)

    load = asyncio.run(
        run_load_beside(LoadGenerator(system, RATE_PER_S), DURATION_S, lambda: os.kill(hung, signal.SIGSTOP))
    )
    tell(f"{victim.deployment} hangs", load)
    wait_until(is_replaced, 120, f"{victim.deployment} is replaced")
    wait_until(lambda: not psutil.pid_exists(hung), 60, "the hung process is gone")
    wait_until(lambda: _is_ready(system), 60, "all is ready again")
    assert load.answered >= victim.answered, load.statuses
    assert load.longest_gap_s <= victim.gap_s
    assert asyncio.run(run_load(system, 3)).answered == 1


def _is_ready(system: RunningSystem) -> bool:
    with system.client() as client:
        return client.get("/healthz").status_code == 200
