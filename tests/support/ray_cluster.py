"""A Ray head and workers on this machine, started and configured as KubeRay does it."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from scripts.host import processes
from scripts.host.processes import RUN_ID_VARIABLE
from tests.support.manifests import KUBERAY
from tests.support.system import free_port, wait_until
from training.runtime.settings import REPOSITORY

START_TIMEOUT_S = 90.0
_OBJECT_STORE_BYTES = str(200 * 1024 * 1024)


def kuberay_environment() -> dict[str, str]:
    """What pods of the cluster have in theirs."""
    lines = (KUBERAY / "base" / "environment.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@dataclass(frozen=True)
class Node:
    """One of a cluster.

    Attributes:
        mark: of its processes.
        port: of its HTTP proxy; on a machine of its own it would be the same as that of the others.
    """

    mark: str
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        """What is of this node alone; ports of the others are chosen anew by each call."""
        return {
            RUN_ID_VARIABLE: self.mark,
            # a head has the port of the Serve config
            "RAY_SERVE_WORKER_PROXY_HTTP_PORT": str(self.port),
            "RAY_SERVE_HAPROXY_METRICS_PORT": str(free_port()),
            "RAY_SERVE_HAPROXY_STATS_PORT": str(free_port()),
            "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(free_port()),
        }


@dataclass
class LocalCluster:
    """Nodes of one cluster.

    Attributes:
        folder: of logs and of what Ray keeps; its path is short, for sockets have names in it.
        environment: of every node.
        places: that each node has for replicas.
    """

    folder: Path
    environment: Mapping[str, str]
    places: int
    token: str = field(default_factory=lambda: secrets.token_hex(32))
    _nodes_started: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._gcs_port, self._dashboard_port = free_port(), free_port()
        self._dashboard = f"http://127.0.0.1:{self._dashboard_port}"
        self._serve = f"{self._dashboard}/api/serve/applications/"

    def start_head(self) -> Node:
        """It answers; its port is for the Serve config."""
        arguments = ["--head", "--port", str(self._gcs_port), "--dashboard-host", "127.0.0.1"]
        arguments += ["--dashboard-port", str(self._dashboard_port), "--temp-dir", str(self.folder / "ray")]
        arguments += ["--ray-client-server-port", str(free_port())]
        node = self._start("head", arguments)
        wait_until(lambda: self._nodes() == 1, START_TIMEOUT_S, "the head answers")
        return node

    def start_worker(self) -> Node:
        """It is part of the cluster."""
        there = self._nodes()
        node = self._start(f"worker-{len(self._nodes_started)}", ["--address", f"127.0.0.1:{self._gcs_port}"])
        wait_until(lambda: self._nodes() == there + 1, START_TIMEOUT_S, "the worker has joined")
        return node

    def lose(self, node: Node) -> None:
        """End a node as a machine that is switched off does; Ray has noticed."""
        left = self._nodes() - 1
        for process in processes.of_run(node.mark):
            process.kill()
        wait_until(lambda: self._nodes() == left, START_TIMEOUT_S, "Ray misses the worker")

    def put(self, serve_config: Mapping[str, Any]) -> None:
        """Apply a Serve config as the operator does."""
        answer = httpx.put(self._serve, json=serve_config, **self._asking())
        assert answer.status_code == 200, answer.text

    def applications(self) -> dict[str, Any]:
        """As Serve tells of them."""
        details = httpx.get(self._serve, **self._asking()).raise_for_status().json()
        found = details["applications"]
        assert isinstance(found, dict)
        return found

    def end(self) -> None:
        """All nodes, the last first."""
        marks = reversed(self._nodes_started)
        alive = processes.end([one for mark in marks for one in processes.of_run(mark)], patience_s=20)
        assert not alive, alive
        for node in self._nodes_started.values():
            node.wait(10)

    def _asking(self) -> dict[str, Any]:
        return {"headers": {"Authorization": f"Bearer {self.token}"}, "timeout": 60}

    def _nodes(self) -> int:
        try:
            answer = httpx.get(f"{self._dashboard}/nodes?view=summary", **self._asking())
            nodes = answer.raise_for_status().json()["data"]["summary"]
        except (httpx.HTTPError, KeyError):
            return 0
        return sum(node["raylet"].get("state") == "ALIVE" for node in nodes)

    def _start(self, name: str, arguments: list[str]) -> Node:
        node = Node(f"{name}-{secrets.token_hex(8)}")
        command = [str(Path(sys.executable).with_name("ray")), "start", "--block", *arguments]
        command += ["--num-cpus", "0", "--resources", f'{{"serving": {self.places}}}']
        command += ["--object-store-memory", _OBJECT_STORE_BYTES, "--metrics-export-port", str(free_port())]
        for port in ("min-worker", "max-worker", "dashboard-agent-listen", "dashboard-agent-grpc"):
            command += [f"--{port}-port", "0"]
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}
        with (self.folder / f"{name}.log").open("wb") as output:
            started = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env={**os.environ, **self.environment, **token, **node.environment()},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._nodes_started[node.mark] = started
        return node


@contextmanager
def local_cluster(folder: Path, environment: Mapping[str, str], places: int) -> Iterator[LocalCluster]:
    """Ended in any case."""
    cluster = LocalCluster(folder, environment, places)
    try:
        yield cluster
    finally:
        cluster.end()
