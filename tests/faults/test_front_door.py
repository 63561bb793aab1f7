"""Attacks without a key, a HAProxy that is killed, a deploy that fails: what valid requests notice of it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from scripts.host.processes import of_run
from scripts.launcher.run_state import RunState
from scripts.launcher.serve_settings import ray_token_file
from tests.faults.load import LoadGenerator, run_load, run_load_beside, tell
from tests.support.attackers import KINDS, attacking
from tests.support.system import RunningSystem, running_system, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

RATE_PER_S = 50
DURATION_S = 30.0
ANSWERED = 0.999
BACK_WITHIN_S = 5.0


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    with running_system(tmp_path_factory.mktemp("door"), "fast", routers=2) as running:
        yield running


def _port(system: RunningSystem) -> int:
    port = urlsplit(system.url).port
    assert port is not None
    return port


@pytest.mark.parametrize("kinds", [(kind,) for kind in KINDS] + [tuple(KINDS)], ids=", ".join)
def test_valid_requests_notice_no_attack(system: RunningSystem, kinds: tuple[str, ...]) -> None:
    before = asyncio.run(run_load(system, DURATION_S, RATE_PER_S))
    with attacking(_port(system), kinds):
        time.sleep(3)  # so that all of it is under way
        during = asyncio.run(run_load(system, DURATION_S, RATE_PER_S))
    after = asyncio.run(run_load(system, DURATION_S, RATE_PER_S))
    calm = max(before, after, key=lambda one: one.p99_s)  # what else the machine does is no attack
    tell(", ".join(kinds), during, f", p99 before {calm.p99_s * 1000:.1f} ms")
    assert during.answered >= ANSWERED, during.statuses
    assert during.p99_s < 2 * calm.p99_s, (before.p99_s, during.p99_s, after.p99_s)


def test_haproxy_killed_is_back_within_seconds(system: RunningSystem) -> None:
    state = RunState.read(system.settings.var)
    assert state is not None

    def kill() -> None:
        pids = [process.pid for process in of_run(state.run_id) if process.name() == "haproxy"]
        assert pids
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    loaded = asyncio.run(run_load_beside(LoadGenerator(system, RATE_PER_S), DURATION_S, kill))
    tell("HAProxy killed", loaded)
    assert loaded.longest_gap_s < BACK_WITHIN_S, loaded
    # Serve has taken over by the end, and the next change of the replicas reaches HAProxy
    wait_until(lambda: _has_command_socket(state.run_id), 30, "a HAProxy of Serve's own")
    assert asyncio.run(run_load(system, 3)).answered == 1


def _has_command_socket(run_id: str) -> bool:
    haproxys = [process for process in of_run(run_id) if process.name() == "haproxy"]
    return any(
        "admin.sock" in str(one.laddr) for process in haproxys for one in process.net_connections("unix")
    )


def test_a_deploy_that_fails_leaves_all_as_it_was(system: RunningSystem) -> None:
    """Root `/healthz` was 503 until a good one came."""
    token = ray_token_file(system.settings.var).read_text().strip()
    config = yaml.safe_load((system.settings.var / "serve_config.yaml").read_text())
    broken = json.loads(json.dumps(config))
    for application in broken["applications"]:
        if application["name"] == "apogee":
            application["import_path"] = "deployments.nothing:build"
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=system.dashboard_url, headers=headers, timeout=30) as dashboard:
        dashboard.put("/api/serve/applications/", json=broken).raise_for_status()

        def status() -> str:
            found = dashboard.get("/api/serve/applications/").json()["applications"]["apogee"]["status"]
            return str(found)

        wait_until(lambda: status() == "DEPLOY_FAILED", 60, "the deploy fails")
        assert asyncio.run(run_load(system, 3)).answered == 1
        with httpx.Client(headers={"Authorization": f"Bearer {system.key}"}) as client:
            assert client.get(f"{system.url}/healthz").json()["workloads"] == {"apogee": "ready"}
        ready = [httpx.get(f"{system.url}{path}").status_code for path in ("/-/ready", "/-/ready/any")]
        assert ready == [200, 200]
        dashboard.put("/api/serve/applications/", json=config).raise_for_status()
        wait_until(lambda: status() == "RUNNING", 120, "the good one is deployed")
