"""The image trains, serves, answers and ends, with as little as compose.yaml allows it.

ENGINE, IMAGE and RUN_OPTIONS come from the Makefile: how a container is run here, and which.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterator

import httpx
import pytest
from ulid_transform import ulid_now

from scripts.launcher.preflight import free_port
from tests.support.system import wait_until

ENGINE = shlex.split(os.environ.get("ENGINE", "podman"))
IMAGE = os.environ.get("IMAGE", "localhost/raysonde:latest")
RUN_OPTIONS = shlex.split(os.environ.get("RUN_OPTIONS", ""))
WORKLOAD = "calories"
# as a node of compose.yaml has it
BOUNDS = [
    "--read-only",
    "--tmpfs",
    "/tmp:mode=1777,size=1g",
    "--shm-size",
    "512m",
    "--cap-drop",
    "ALL",
    "--memory",
    "5g",
]
BOUNDS += ["--security-opt", "no-new-privileges"]
START_S = 900.0
STOP_S = 60

pytestmark = [pytest.mark.container, pytest.mark.timeout(1500)]


def engine(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*ENGINE, *arguments], check=check, capture_output=True, text=True)


def once(*command: str) -> str:
    """What a command prints in a container of its own."""
    return engine("run", "--rm", *RUN_OPTIONS, *BOUNDS, IMAGE, *command).stdout


class Container:
    """One that runs `raysonde up`, on a volume of its own."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.url = f"http://127.0.0.1:{port}"
        options = ["--detach", "--name", name, "--volume", f"{name}:/var/lib/raysonde"]
        options += ["--publish", f"127.0.0.1:{port}:{port}", "--env", f"RAYSONDE_URL={self.url}"]
        options += ["--env", "RAYSONDE_CPUS=half", *BOUNDS, *RUN_OPTIONS]
        command = ["raysonde", "up", "--host", "0.0.0.0", "--port", str(port)]
        command += ["--dashboard-port", str(free_port()), "--workloads", WORKLOAD]
        engine("run", *options, IMAGE, *command)

    def does(self, *command: str) -> str:
        return engine("exec", self.name, *command).stdout

    def is_healthy(self) -> bool:
        """By the check of the image."""
        assert self.state("Running") == "true", engine("logs", "--tail", "50", self.name).stdout
        return engine("exec", self.name, "python", "-m", "scripts.jobs.health", check=False).returncode == 0

    def state(self, name: str) -> str:
        return engine("inspect", "--format", f"{{{{.State.{name}}}}}", self.name).stdout.strip()


@pytest.fixture(scope="module")
def container() -> Iterator[Container]:
    name = f"raysonde-check-{ulid_now().lower()}"
    try:
        running = Container(name, free_port())
        wait_until(running.is_healthy, START_S, "the container is healthy")
        yield running
    finally:
        engine("rm", "--force", "--volumes", name, check=False)
        engine("volume", "rm", "--force", name, check=False)


def test_nothing_that_builds_is_left() -> None:
    assert once("sh", "-c", "ls .venv/bin/pip* /etc/pip.conf /root/.cache 2>/dev/null || true") == ""
    assert once("sh", "-c", "command -v gcc cc make git curl || true") == ""
    config = json.loads(engine("image", "inspect", IMAGE).stdout)[0]["Config"]
    assert config["User"] == "10001:10001"
    assert not [name for name in config["Env"] if name.startswith(("PIP_", "http", "HTTP"))]


def test_it_is_a_node_or_a_training_as_well() -> None:
    assert "--block" in once("ray", "start", "--help")
    assert "raysonde node head" in once("raysonde", "node", "--help")
    assert "--missing" in once("raysonde", "train", "--help")


def test_it_answers(container: Container) -> None:
    key = container.does("cat", "/var/lib/raysonde/api-key").strip()
    example = container.does("cat", f"/var/lib/raysonde/examples/{WORKLOAD}.json")
    with httpx.Client(base_url=container.url, headers={"Authorization": f"Bearer {key}"}) as client:
        answer = client.post(f"/{WORKLOAD}/predict", content=example, timeout=30)
        assert client.get(f"/{WORKLOAD}/info", headers={"Authorization": ""}).status_code == 401
    assert answer.status_code == 200
    assert answer.json()["prediction"]


def test_it_runs_as_nobody_and_writes_nowhere_else(container: Container) -> None:
    assert container.does("id", "-u").strip() == "10001"
    places = "for place in / /opt/raysonde /etc /usr; do test -w $place && echo $place; done; true"
    assert container.does("sh", "-c", places) == ""


def test_it_keeps_to_half_of_the_cores(container: Container) -> None:
    count = "import os; print(len(os.sched_getaffinity(0)))"
    all_cores = int(container.does("python", "-c", count))
    serving = "import os, psutil; print(max(len(p.cpu_affinity()) for p in psutil.process_iter() "
    serving += "if p.name().startswith('ray::')))"
    assert int(container.does("python", "-c", serving)) == max(all_cores // 2, 1)


def test_it_ends_in_good_order_on_a_signal(container: Container) -> None:
    engine("stop", "--time", str(STOP_S), container.name)
    assert container.state("ExitCode") == "0", engine("logs", "--tail", "50", container.name).stdout
