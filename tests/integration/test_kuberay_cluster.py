"""The rendered Serve config on a Ray head and a worker, applied as KubeRay's operator applies it.

Its registry is an MLflow server, as in a cluster, and requests come by endpoints that are ready. It takes two
minutes, so it is among the faults.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from deployments.store import Store
from scripts.launcher.node_environment import node_environment
from tests.support.flights import fly, instance_of
from tests.support.ingress import Ingress, NoEndpoint, Probe, ingress
from tests.support.manifests import KUBERAY
from tests.support.mlflow_server import mlflow_server
from tests.support.models import apogee_contract, register
from tests.support.ray_cluster import LocalCluster, kuberay_environment, local_cluster
from tests.support.system import ARMS, wait_until
from training.registry.models import Registry
from training.runtime.settings import REPOSITORY, Settings

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.timeout(600)]

logger = logging.getLogger(__name__)
KEY = "key-of-a-test"
READY_TIMEOUT_S = 180.0
SENDERS = 4


def serve_config(port: int) -> dict[str, Any]:
    """What is in the manifest, of one workload and on a port of its own."""
    manifest = yaml.safe_load((KUBERAY / "base" / "serve-config.yaml").read_text())
    config: dict[str, Any] = yaml.safe_load(manifest["spec"]["serveConfigV2"])
    config["applications"] = [app for app in config["applications"] if app["name"] in ("apogee", "root")]
    config["applications"][-1]["args"]["workloads"] = ["apogee"]
    config["http_options"] = {"host": "127.0.0.1", "port": port}
    return config


def readiness_probe() -> Probe:
    """Of the pods that serve."""
    spec = yaml.safe_load((KUBERAY / "base" / "rayservice.yaml").read_text())["spec"]
    (serving,) = (
        one for one in spec["rayClusterConfig"]["workerGroupSpecs"] if one["groupName"] == "serving"
    )
    return Probe.of(serving["template"]["spec"]["containers"][0]["readinessProbe"])


@dataclass
class Traffic:
    """Sends instances, one after the other and several at once, and a truth for each that is answered."""

    service: Ingress
    failures: list[str] = field(default_factory=list)
    predicted: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def flowing(self) -> Iterator[None]:
        senders = [threading.Thread(target=self._send, args=(n,)) for n in range(SENDERS)]
        for sender in senders:
            sender.start()
        try:
            yield
        finally:
            self._ended.set()
            for sender in senders:
                sender.join()

    def more(self, count: int, timeout_s: float = 60.0) -> None:
        """Come back when so many more were answered in a row."""
        before, failed = len(self.predicted), len(self.failures)

        def answered() -> bool:
            nonlocal before, failed
            if len(self.failures) > failed:
                before, failed = len(self.predicted), len(self.failures)
            return len(self.predicted) >= before + count

        wait_until(answered, timeout_s, f"{count} answers in a row; the last failures: {self.failures[-3:]}")

    def _send(self, sender: int) -> None:
        body = instance_of(apogee_contract(), fly(sender)[0][40:100], f"flight-{sender}")
        with httpx.Client(headers={"Authorization": f"Bearer {KEY}"}, timeout=30) as client:
            number = 0
            while not self._ended.is_set():
                number += 1
                id_ = f"{sender}-{number}"
                if self._post(client, "predict", body | {"id": id_}, 200):
                    self.predicted.append(id_)
                    if self._post(client, "feedback", {"id": id_, "truth": {"apogee_m": 3000.0}}, 202):
                        self.acknowledged.append(id_)

    def _post(self, client: httpx.Client, call: str, body: dict[str, Any], expected: int) -> bool:
        try:
            answer = self.service.post(client, f"/apogee/{call}", json.dumps(body))
        except (httpx.HTTPError, NoEndpoint) as error:
            self.failures.append(f"{call}: {error!r}")
            return False
        if answer.status_code != expected:
            self.failures.append(f"{call}: {answer.status_code} {answer.text[:200]}")
        return answer.status_code == expected


@pytest.fixture
def folder() -> Iterator[Path]:
    # sockets of Ray have names in it, which may not be long
    path = Path(tempfile.mkdtemp(prefix="rs-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def settings(folder: Path) -> Iterator[Settings]:
    with mlflow_server(folder) as url:
        var = folder / "var"
        settings = Settings(var, REPOSITORY / "configs" / "workloads", url, f"sqlite:///{var}/store.db")
        registry = Registry(settings)
        for number, arm in enumerate(ARMS):
            register(registry, folder / "bundles", arm, number)
        yield settings


@pytest.fixture
def cluster(settings: Settings, folder: Path) -> Iterator[LocalCluster]:
    environment = (
        node_environment({})
        | kuberay_environment()
        | {
            "RAYSONDE_VAR": str(settings.var),
            "RAYSONDE_REGISTRY_URI": settings.registry_uri,
            "RAYSONDE_API_KEY": KEY,
            "HOME": str(folder),
            "RAYSONDE_HAPROXY_METRICS_HOST": "127.0.0.1",
            "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "3",
        }
    )
    with local_cluster(folder, environment, places=40) as cluster:
        yield cluster


@pytest.fixture
def service() -> Iterator[Ingress]:
    with ingress(readiness_probe()) as running:
        yield running


def is_running(cluster: LocalCluster, config: dict[str, Any]) -> bool:
    """Whether all that the config asks for is there, and nothing else."""
    applications = cluster.applications()
    for app in config["applications"]:
        if applications.get(app["name"], {}).get("status") != "RUNNING":
            return False
        for part in app["deployments"]:
            replicas = applications[app["name"]]["deployments"][part["name"]]["replicas"]
            fewest = part.get("autoscaling_config", {}).get("min_replicas", part.get("num_replicas"))
            if sum(one["state"] == "RUNNING" for one in replicas) < fewest:
                return False
    return True


def nodes_of(cluster: LocalCluster, deployment: str) -> list[str]:
    replicas = cluster.applications()["apogee"]["deployments"][deployment]["replicas"]
    return [one["node_id"] for one in replicas if one["state"] == "RUNNING"]


def all_answer(urls: set[str]) -> bool:
    """The workload and the root, to whoever has the key."""
    with httpx.Client(headers={"Authorization": f"Bearer {KEY}"}, timeout=30) as client:
        try:
            answers = [client.get(f"{url}{path}") for url in urls for path in ("/healthz", "/apogee/info")]
        except httpx.HTTPError:
            return False
    return all(answer.status_code == 200 for answer in answers)


def test_it_serves_is_updated_in_place_and_survives_the_loss_of_a_node(
    cluster: LocalCluster, service: Ingress, settings: Settings
) -> None:
    head = cluster.start_head()
    worker = cluster.start_worker()
    both = {head.url, worker.url}
    config = serve_config(head.port)
    cluster.put(config)
    for url in both:
        service.add(url)
    wait_until(lambda: is_running(cluster, config), READY_TIMEOUT_S, "all replicas run")
    wait_until(lambda: service.ready() == both, READY_TIMEOUT_S, "both nodes are ready")
    # the operator lets requests in some seconds after it has seen all run; proxies hear of it meanwhile
    wait_until(lambda: all_answer(both), READY_TIMEOUT_S, "both answer")
    assert len(set(nodes_of(cluster, "Router"))) == 2
    assert httpx.get(f"{worker.url}/apogee/info").status_code == 401

    traffic = Traffic(service)
    with traffic.flowing():
        traffic.more(100)
        # numbers alone: no replica is replaced
        before = set(nodes_of(cluster, "Router"))
        for part in config["applications"][0]["deployments"]:
            part["max_ongoing_requests"] += 1
        cluster.put(config)
        wait_until(lambda: is_running(cluster, config), READY_TIMEOUT_S, "the numbers are in force")
        traffic.more(100)
        assert set(nodes_of(cluster, "Router")) == before
        # what makes every replica of the workload a new one
        replaced = pids(cluster)
        for part in config["applications"][0]["deployments"]:
            part["ray_actor_options"]["memory"] = 1000
        cluster.put(config)
        wait_until(
            lambda: is_running(cluster, config) and not pids(cluster) & replaced,
            READY_TIMEOUT_S,
            "all are new",
        )
        traffic.more(100)
        assert traffic.failures == []

        cluster.lose(worker)
        traffic.more(200, timeout_s=120)
        wait_until(lambda: len(nodes_of(cluster, "Router")) == 1, 60, "its router is given up")
        wait_until(lambda: service.ready() == {head.url}, 60, "nobody is sent to it")
        lost = len(traffic.failures)
        logger.info("the loss of a node failed %d requests: %s", lost, traffic.failures)
        # KubeRay replaces the node
        replacement = cluster.start_worker()
        service.add(replacement.url)
        wait_until(lambda: is_running(cluster, config), READY_TIMEOUT_S, "all replicas run again")
        wait_until(lambda: service.answered(replacement.url) > 0, READY_TIMEOUT_S, "the new node is asked")
        traffic.more(100)
        assert len(traffic.failures) == lost, traffic.failures[lost:][:3]
        assert service.ready() == {head.url, replacement.url}

    assert Store(settings.store_url).counts("apogee").truths >= len(traffic.acknowledged) > 500


def pids(cluster: LocalCluster) -> set[int]:
    """Of the replicas of the workload."""
    applications = cluster.applications()["apogee"]["deployments"].values()
    return {int(one["pid"]) for part in applications for one in part["replicas"] if one["state"] == "RUNNING"}
