"""The Monitor of a running system: what it shows, and that its death takes nothing along."""

from __future__ import annotations

import os
import signal
from typing import Any

import httpx
import pytest

from deployments.store import Store
from scripts.host.processes import of_run
from scripts.launcher.run_state import RunState
from tests.support.system import RunningSystem, bodies, wait_until

pytestmark = pytest.mark.integration


def send_truths(client: httpx.Client, flight: int) -> int:
    """Predictions of a flight, each with its truth; how many."""
    answers = client.post("/batch_predict", json={"instances": bodies(flight)}).json()["predictions"]
    items = [{"id": answer["id"], "truth": {"apogee_m": 1000.0}} for answer in answers]
    assert client.post("/feedback", json={"items": items}).status_code == 202
    return len(items)


def day(client: httpx.Client) -> dict[str, int]:
    """Answers and truths of the last day as the Monitor has them, of all arms."""
    answer = client.get("/monitor")
    if answer.status_code != 200:
        return {}
    page: dict[str, Any] = answer.json()
    arms = page["windows"]["86400_s"]["arms"].values()
    return {name: sum(arm[name] for arm in arms) for name in ("predictions", "truths")}


def monitor_pids(system: RunningSystem) -> list[int]:
    state = RunState.read(system.settings.var)
    assert state is not None
    return [process.pid for process in of_run(state.run_id) if "root:Monitor" in " ".join(process.cmdline())]


def stored(system: RunningSystem) -> dict[str, int]:
    """The same as the journal has them, all of which is of today."""
    counts = Store(system.settings.store_url).counts("apogee")
    return {"predictions": counts.predictions, "truths": counts.joined}


def test_a_killed_monitor_reads_what_it_has_missed(system: RunningSystem) -> None:
    with system.client() as client:
        assert send_truths(client, flight=11) > 0
        wait_until(lambda: day(client) == stored(system), 60, "the Monitor has seen all that is stored")
        (pid,) = monitor_pids(system)
        os.kill(pid, signal.SIGKILL)
        before = stored(system)
        more = send_truths(client, flight=12)  # nobody watches, and nobody waits
        expected = {name: count + more for name, count in before.items()}
        wait_until(lambda: day(client) == expected, 90, f"a new Monitor has seen {expected}")
        assert pid not in monitor_pids(system)


def levels(client: httpx.Client) -> dict[str, float]:
    """The level of each arm, as the Monitor has it."""
    answer = client.get("/monitor")
    found = answer.json()["levels"] if answer.status_code == 200 else {}
    return {arm: one["level"] for arm, one in found.items()}


def test_truths_that_miss_widen_the_regions_of_the_next_answers(system: RunningSystem) -> None:
    instances = bodies(flight=13)
    with system.client() as client:
        wait_until(lambda: len(levels(client)) > 0, 60, "the Monitor has looked")
        before = levels(client)
        arm = min(before, key=lambda one: before[one])  # other tests may have sent truths that miss
        named = {"Raysonde-Arm": arm}

        def width() -> float:
            answer = client.post("/predict", json=instances[0], headers=named).json()
            lower, upper = answer["interval"]["apogee_m"]
            return float(upper - lower)

        narrow = width()
        answers = client.post("/batch_predict", json={"instances": instances}, headers=named).json()
        items = [
            {"id": one["id"], "truth": {"apogee_m": 5 * one["interval"]["apogee_m"][1]}}
            for one in answers["predictions"]
        ]
        assert client.post("/feedback", json={"items": items}).status_code == 202
        wait_until(lambda: levels(client)[arm] > before[arm] + 0.02, 60, f"the level of {arm} has risen")
        wait_until(lambda: width() > 1.05 * narrow, 10, f"{arm} answers with wider regions")
        assert client.get("/info").json()["arms"][arm]["level"] > before[arm]
