"""Versions, weights and replicas change under 10,000 requests, and no caller notices."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import numpy as np
import pytest
from mlflow import MlflowClient

from deployments.requests.parser import InstanceParser
from deployments.store import Store
from scripts.launcher.serve_settings import ray_token_file
from tests.support.flights import fly, instance_of
from tests.support.killing import Replicas
from tests.support.models import apogee_contract, make_parts, register
from tests.support.postgres import Cluster
from tests.support.system import RunningSystem, wait_until
from training.registry.models import ModelVersion, Registry
from training.runtime.bundle import read_bundle, write_bundle
from training.runtime.inference import load_model

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

REQUESTS = 10_000
CONNECTIONS = 32
FLIGHTS = 50
CONTRACT = apogee_contract()


@pytest.fixture(autouse=True)
def _policy_is_put_back(fast_system: RunningSystem) -> Iterator[None]:
    with fast_system.client() as client:
        policy = client.get("/traffic").json()["policy"]
    yield
    with fast_system.client() as client:
        client.put("/traffic", json=policy).raise_for_status()


def instances() -> list[dict[str, object]]:
    return [instance_of(CONTRACT, fly(n)[0][40:100], f"flight-{n}") for n in range(FLIGHTS)]


@dataclass
class Load:
    """Sends requests over many connections; `at` runs a change when so many have been answered."""

    system: RunningSystem
    at: dict[int, Callable[[], None]]
    answers: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    async def run(self) -> None:
        bodies = [json.dumps(one).encode() for one in instances()]
        numbers = iter(range(REQUESTS))
        headers = {"Authorization": f"Bearer {self.system.key}"}
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        async with aiohttp.ClientSession(self.system.url, headers=headers, connector=connector) as session:
            await asyncio.gather(*(self._caller(session, numbers, bodies) for _ in range(CONNECTIONS)))

    async def _caller(
        self, session: aiohttp.ClientSession, numbers: Iterator[int], bodies: list[bytes]
    ) -> None:
        for number in numbers:
            if change := self.at.get(number):
                await asyncio.to_thread(change)
            which = number % len(bodies)
            try:
                async with session.post("/apogee/predict", data=bodies[which]) as response:
                    answer = await response.json(content_type=None)
            except aiohttp.ClientError as error:
                self.failures.append(repr(error))
                continue
            if response.status == 200:
                self.answers.append((which, answer))
            else:
                self.failures.append(f"{response.status} {answer}")


def test_no_request_fails_and_no_answer_mixes_versions(fast_system: RunningSystem, tmp_path: Path) -> None:
    system = fast_system
    registry = Registry(system.settings)
    versions = versions_in_service(system)
    (mlp,) = (version for version in versions.values() if version.arm == "mlp")

    swapped: list[str] = []

    def swap() -> None:
        new = register(registry, tmp_path, "mlp", variant=7)
        versions[new.bundle] = new
        swapped.append(new.bundle)

    def change_weights() -> None:
        with system.client() as client:
            policy = client.get("/traffic").json()["policy"]
            changed = policy | {"weights": {"mlp": 1.0, "linear": 1.0, "random_forest": 1.0}, "sticky": False}
            client.put("/traffic", json=changed).raise_for_status()

    def kill_replica() -> None:
        os.kill(replica_pid(system, "random_forest"), signal.SIGKILL)

    load = Load(
        system,
        {1000: swap, 3000: change_weights, 5000: kill_replica, 7000: lambda: hang_up(system, times=300)},
    )
    asyncio.run(load.run())

    assert load.failures == []
    assert len(load.answers) == REQUESTS
    seen = Counter((a["arm"], a["model_version"], a["bundle"]) for _, a in load.answers)
    assert set(seen) <= {(v.arm, v.version, v.bundle) for v in versions.values()}
    assert {bundle for arm, _, bundle in seen if arm == "mlp"} == {mlp.bundle, swapped[0]}
    assert_answers_are_of_their_versions(load, versions)
    wait_until(lambda: replica_pid(system, "random_forest") > 0, 60, "the killed replica is replaced")


def hang_up(system: RunningSystem, times: int) -> None:
    """Callers that send a request and leave: their rows go downstream in calls with those of others."""
    url = httpx.URL(system.url)
    body = json.dumps(instances()[0])
    lines = (
        "POST /apogee/predict HTTP/1.1",
        f"Host: {url.netloc.decode()}",
        f"Authorization: Bearer {system.key}",
        f"Content-Length: {len(body)}",
    )
    request = ("\r\n".join(lines) + "\r\n\r\n" + body).encode()
    for _ in range(times):
        with socket.create_connection((url.host, url.port)) as caller:
            caller.sendall(request)


def assert_answers_are_of_their_versions(load: Load, versions: dict[str, ModelVersion]) -> None:
    """Every number is what the bundle that the answer names gives offline."""
    parser = InstanceParser(CONTRACT)
    raw = np.stack([parser.parse_instance(json.dumps(one).encode()).raw for one in instances()])
    offline = {
        bundle: load_model(read_bundle(Path(version.source), bundle, CONTRACT)).predict(raw)
        for bundle, version in versions.items()
    }
    got = np.array([a["prediction"]["apogee_m"] for _, a in load.answers])
    expected = np.array([offline[a["bundle"]]["prediction"][which] for which, a in load.answers])
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_behind_the_proxy_nothing_is_answered_without_the_key(fast_system: RunningSystem) -> None:
    for path in ("/", "/healthz", "/apogee/info", "/apogee/docs", "/apogee/healthz"):
        assert httpx.get(f"{fast_system.url}{path}").status_code == 401, path
    with httpx.Client(follow_redirects=True) as browser:
        assert 'href="/apogee/docs"' in browser.get(f"{fast_system.url}/?key={fast_system.key}").text
        assert browser.get(f"{fast_system.url}/apogee/docs").status_code == 200


def test_predictions_go_on_while_the_store_is_away_and_nothing_of_them_is_lost(
    fast_system: RunningSystem, request: pytest.FixtureRequest
) -> None:
    if not fast_system.settings.store_url.startswith("postgresql"):
        pytest.skip("the store is a file, which cannot go away: PostgreSQL is not installed")
    cluster: Cluster = request.getfixturevalue("cluster")
    ids = [f"while-away-{number}" for number in range(40)]
    truths = {"items": [{"id": one, "truth": {"apogee_m": 1000.0}} for one in ids]}
    with fast_system.client() as client:
        cluster.stop()
        try:
            answers = [client.post("/predict", json=instances()[0] | {"id": one}) for one in ids]
            refused = client.post("/feedback", json={"id": "of nothing", "truth": {"apogee_m": 1.0}})
        finally:
            cluster.start()
        assert {answer.status_code for answer in answers} == {200}
        assert (refused.status_code, refused.json()["title"]) == (503, "No answer can be had now")
        assert int(refused.headers["Retry-After"]) >= 1
        wait_until(lambda: client.post("/feedback", json=truths).status_code == 202, 30, "truths are taken")
    with closing(Store(fast_system.settings.store_url)) as store:
        wait_until(lambda: joined(store) >= set(ids), 30, "every prediction has its truth")
        assert store.counts("apogee").conflicting == 0


def joined(store: Store) -> set[str]:
    return {pair.prediction.id for pair in store.joined("apogee", limit=100_000)}


def test_a_version_made_by_hand_in_mlflow_is_picked_up(fast_system: RunningSystem, tmp_path: Path) -> None:
    bundle = write_bundle(make_parts("linear", variant=5), tmp_path / "by-hand")
    client = MlflowClient(fast_system.settings.registry_uri, fast_system.settings.registry_uri)
    run = client.create_run(Registry(fast_system.settings).experiment("apogee"))
    client.log_artifacts(run.info.run_id, str(tmp_path / "by-hand"), "bundle")
    source = f"{run.info.artifact_uri}/bundle"
    version = client.create_model_version("apogee.linear", source=source, run_id=run.info.run_id)
    client.set_registered_model_alias("apogee.linear", "champion", version.version)
    wait_until(lambda: served(fast_system, "linear") == bundle, 10, "the version is in service")


def test_a_tampered_version_is_refused_and_the_old_one_serves_on(
    fast_system: RunningSystem, tmp_path: Path
) -> None:
    before = served(fast_system, "random_forest")
    registry = Registry(fast_system.settings)
    write_bundle(make_parts("random_forest", variant=9), tmp_path / "good")
    run = registry.client.create_run(registry.experiment("apogee"))
    version = registry.register(tmp_path / "good", run.info.run_id)
    model = Path(version.source) / "model.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    registry.set_champion(version)

    def refused() -> bool:
        files = fast_system.settings.logs.glob("lifecycle-controller.*.jsonl")
        return any("version refused" in line for file in files for line in file.read_text().splitlines())

    wait_until(refused, 15, "the refusal is logged")
    assert served(fast_system, "random_forest") == before


def test_a_policy_change_reaches_every_router_replica(fast_system: RunningSystem) -> None:
    with fast_system.client() as client:
        policy = client.get("/traffic").json()["policy"]
        client.put("/traffic", json=policy | {"weights": {"linear": 1.0}, "fallback": []}).raise_for_status()
        body = instances()[0]
        wait_until(
            lambda: {client.post("/predict", json=body).json()["arm"] for _ in range(10)} == {"linear"},
            2,
            "all answers come from the only arm with a weight",
        )


def versions_in_service(system: RunningSystem) -> dict[str, ModelVersion]:
    """By bundle; other tests may have changed what the system was started with."""
    with system.client() as client:
        arms = client.get("/traffic").json()["arms"].values()
    known = {(one.bundle, one.version): one for one in Registry(system.settings).versions("apogee")}
    return {arm["bundle"]: known[arm["bundle"], arm["model_version"]] for arm in arms}


def served(system: RunningSystem, arm: str) -> str:
    with system.client() as client:
        return str(client.get("/traffic").json()["arms"][arm]["bundle"])


def replica_pid(system: RunningSystem, deployment: str) -> int:
    """Process id of the deployment's running replica, 0 when there is none."""
    replicas = Replicas(system.dashboard_url, ray_token_file(system.settings.var))
    return next(iter(replicas.pids("apogee", deployment)), 0)
