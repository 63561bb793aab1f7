"""A whole running system for tests: `raysonde up` in a process of its own, on free ports and fresh state."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml

from tests.support.flights import fly, instance_of
from tests.support.models import apogee_contract, register
from training.registry.models import ModelVersion, Registry
from training.runtime.settings import REPOSITORY, Settings

ARMS = ("linear", "mlp", "random_forest")
START_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 90.0


@dataclass(frozen=True)
class RunningSystem:
    """Where a running system is, and what it serves.

    Attributes:
        url: of the API.
        dashboard_url: of Ray.
        settings: paths of its state.
        key: of the API.
        champions: versions registered before the start.
        process: `raysonde up`.
        output: what it prints.
    """

    url: str
    dashboard_url: str
    settings: Settings
    champions: dict[str, ModelVersion]
    process: subprocess.Popen[bytes]
    output: Path

    @property
    def key(self) -> str:
        return self.settings.api_key_file.read_text().strip()

    def client(self, workload: str = "apogee") -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=f"{self.url}/{workload}", headers=headers, timeout=30)


def free_port() -> int:
    """A port that nobody has, of those that no connection is given.

    A connection that has the port it asks for meets itself, and the server that starts there finds it taken.
    """
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as found, suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port


def wait_until(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Poll until it holds; AssertionError that says `what` did not come."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.1)


def bodies(flight: int, length: int = 56) -> list[dict[str, object]]:
    """Requests of one flight, as JSON: each with so many samples, five later than the one before."""
    contract = apogee_contract()
    samples, _ = fly(flight)
    return [
        instance_of(contract, samples[end - length : end], f"flight-{flight}")
        for end in range(length, len(samples), 5)
    ]


@contextmanager
def running_system(
    folder: Path,
    profile: str = "plain",
    routers: int = 1,
    variables: Mapping[str, str] | None = None,
    scalers: int = 1,
) -> Iterator[RunningSystem]:
    """Start with one small model an arm, wait until it answers, and stop it by SIGINT as Ctrl-C does.

    Args:
        folder: for all that it writes.
        profile: as `raysonde up` calls it.
        routers: replicas.
        variables: added to the environment; without those that name databases, these are files.
        scalers: replicas at least.
    """
    var, added = folder / "var", variables or {}
    environment = {**os.environ, "RAYSONDE_VAR": str(var), **added}
    settings = Settings(
        var,
        REPOSITORY / "configs" / "workloads",
        added.get("RAYSONDE_REGISTRY_URI", f"sqlite:///{var}/mlflow/mlflow.db"),
        added.get("RAYSONDE_STORE_URL", f"sqlite:///{var}/store.db"),
    )
    registry = Registry(settings)
    champions = {arm: register(registry, folder / "bundles", arm, n) for n, arm in enumerate(ARMS)}
    config = folder / "serve_config.yaml"
    config.write_text(with_routers((REPOSITORY / "serve_config.yaml").read_text(), routers, scalers))
    port, dashboard_port = free_port(), free_port()
    command = [sys.executable, "-m", "scripts", "up", "--port", str(port)]
    command += ["--dashboard-port", str(dashboard_port), "--profile", profile, "--config", str(config)]
    command += ["--workloads", "apogee"]
    log = folder / "up.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    dashboard_url = f"http://127.0.0.1:{dashboard_port}"
    system = RunningSystem(url, dashboard_url, settings, champions, process, log)
    try:
        wait_until(lambda: _is_ready(system), START_TIMEOUT_S, "the system answers")
        yield system
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(STOP_TIMEOUT_S)


def with_routers(config_text: str, replicas: int, scalers: int = 1) -> str:
    """The Serve config with so many router replicas of every workload, and scalers at least."""
    config = yaml.safe_load(config_text)
    for application in config["applications"]:
        for deployment in application["deployments"]:
            if deployment["name"] == "Router":
                deployment["num_replicas"] = replicas
            elif deployment["name"] == "FeatureScaler":
                deployment["autoscaling_config"] = {
                    **deployment["autoscaling_config"],
                    "min_replicas": scalers,
                    "max_replicas": max(scalers, deployment["autoscaling_config"]["max_replicas"]),
                }
    return str(yaml.safe_dump(config))


def _is_ready(system: RunningSystem) -> bool:
    assert system.process.poll() is None, f"`raysonde up` ended: {system.output.read_text()[-3000:]}"
    if not system.settings.api_key_file.exists():
        return False
    try:
        with system.client() as client:
            return client.get("/healthz").status_code == 200
    except httpx.HTTPError:
        return False
