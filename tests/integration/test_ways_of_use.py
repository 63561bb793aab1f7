"""Three of the four ways of use, as a user tries them: Serve's own commands, HTTP, Ray's dashboard.

The commands are those of the pages in docs/how-to. The fourth way is in tests/unit/kuberay.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from playwright.sync_api import expect

from scripts.host import processes
from scripts.host.processes import RUN_ID_VARIABLE
from scripts.launcher.serve_settings import ray_token_file, render
from tests.support.browser import browser
from tests.support.models import register
from tests.support.page import DOCS, block_with, blocks_of
from tests.support.system import ARMS, RunningSystem, bodies, free_port, wait_until
from training.registry.models import Registry
from training.runtime.settings import REPOSITORY, Settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

SERVE_RUN = blocks_of(DOCS / "how-to" / "serve-run.md")
OVER_HTTP = blocks_of(DOCS / "how-to" / "call-over-http.md")
START_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 90.0
PAGE_TIMEOUT_MS = 60_000.0
RUNNING = {"apogee": "RUNNING", "root": "RUNNING"}
REJECTED = "Authentication required"


def user_environment(**variables: str) -> dict[str, str]:
    """Of a shell beside a system: it finds the programs, and has no variable of Ray or raysonde."""
    kept = {name: v for name, v in os.environ.items() if not name.startswith(("RAY_", "RAYSONDE_"))}
    path = f"{Path(sys.executable).parent}:{kept['PATH']}"
    return kept | {"PATH": path, "PYTHONUNBUFFERED": "1"} | variables


def shell(
    command: str, folder: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euc", command],
        cwd=folder,
        env=user_environment() if environment is None else environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def typed(system: RunningSystem, *commands: str) -> str:
    """Return what commands of a page print, in the folder that has `var/`."""
    text = "\n".join(commands).replace("http://127.0.0.1:8000", system.url)
    done = shell(text, system.settings.var.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def statuses(serve_status: str) -> dict[str, str]:
    """Return the status of each application as `serve status` prints it."""
    return {name: one["status"] for name, one in yaml.safe_load(serve_status)["applications"].items()}


def test_serve_status_says_that_it_lacks_the_token(system: RunningSystem) -> None:
    done = shell(f"serve status --address {system.dashboard_url}", system.settings.var.parent)
    assert done.returncode != 0
    assert REJECTED in done.stdout + done.stderr


def test_the_command_that_a_start_shows_prints_the_status(system: RunningSystem) -> None:
    wait_until(lambda: "mlflow ui" in system.output.read_text(), 30, "the start tells that it is ready")
    (command,) = re.findall(r"Ray's own commands:\n +(.+)\n", system.output.read_text())

    def all_run() -> bool:
        done = shell(command, REPOSITORY)
        assert done.returncode == 0, done.stdout + done.stderr
        return statuses(done.stdout) == RUNNING

    wait_until(all_run, 60, "both applications are running")


def test_a_changed_config_is_deployed_to_the_running_system(system: RunningSystem) -> None:
    token = block_with(SERVE_RUN, ". var/ray.env")
    copy, deploy, *_ = block_with(SERVE_RUN, "cp var/serve_config.yaml").splitlines()
    changed = system.settings.var.parent / "changed.yaml"
    typed(system, copy)
    config = yaml.safe_load(changed.read_text())
    scaler = scaler_of(config["applications"])
    before = scaler["autoscaling_config"]["max_replicas"]
    scaler["autoscaling_config"]["max_replicas"] = before + 1
    changed.write_text(yaml.safe_dump(config))

    def in_force() -> int:
        found = scaler_of(list(yaml.safe_load_all(typed(system, token, "serve config"))))
        return int(found["autoscaling_config"]["max_replicas"])

    try:
        typed(system, token, deploy)
        wait_until(
            lambda: statuses(typed(system, token, "serve status")) == RUNNING,
            START_TIMEOUT_S,
            "the changed config is in force",
        )
        assert in_force() == before + 1
        with system.client() as client:
            assert client.post("/predict", json=bodies(flight=31)[0]).status_code == 200
    finally:
        typed(system, token, copy, deploy)
    assert in_force() == before


def scaler_of(applications: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what a config says of the scaler of `apogee`."""
    (deployments,) = [one["deployments"] for one in applications if one["name"] == "apogee"]
    (scaler,) = [one for one in deployments if one["name"] == "FeatureScaler"]
    found: dict[str, Any] = scaler
    return found


def test_the_api_answers_over_http(system: RunningSystem) -> None:
    info, predict = (
        block_with(OVER_HTTP, f"curl http://127.0.0.1:8000/{path}") for path in ("apogee", "calories")
    )
    assert set(json.loads(typed(system, info))["arms"]) == set(ARMS)
    assert "prediction" in json.loads(typed(system, predict.replace("calories", "apogee")))


def test_the_dashboard_shows_the_graph_in_a_browser(system: RunningSystem) -> None:
    with browser() as page:
        page.goto(f"{system.dashboard_url}/#/serve")
        expect(page.get_by_text("Authentication Token Required")).to_be_visible(timeout=PAGE_TIMEOUT_MS)
        page.locator("input[type=password]").fill(ray_token_file(system.settings.var).read_text().strip())
        page.keyboard.press("Enter")
        shown = ("Applications / Deployments", "/apogee", "root", "RUNNING")
        for words in (*shown, "Router", "FeatureScaler", *ARMS, "LifecycleController", "Monitor"):
            expect(page.locator("body")).to_contain_text(words, timeout=PAGE_TIMEOUT_MS)


@dataclass(frozen=True)
class ServeRun:
    """`serve run` of one workload, without `raysonde up`.

    Attributes:
        url: of the API.
        process: the command.
        output: what it prints.
        home: where Ray keeps its token.
        mark: of all its processes.
    """

    url: str
    process: subprocess.Popen[bytes]
    output: Path
    home: Path
    mark: str

    def text(self) -> str:
        """Return what it has printed, without colours."""
        return re.sub(r"\x1b\[[\d;]*m", "", self.output.read_text())

    def answers(self) -> bool:
        assert self.process.poll() is None, f"`serve run` ended: {self.text()[-3000:]}"
        try:
            return httpx.get(f"{self.url}/apogee/healthz", timeout=10).status_code == 200
        except httpx.HTTPError:
            return False

    def status(self, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `serve status` in another terminal."""
        (address,) = re.findall(r"dashboard at (http://[\d.:]+)", self.text())
        environment = user_environment(HOME=str(self.home), **variables)
        return shell(f"serve status --address {address}", self.home, environment)


@pytest.fixture
def ray_folder() -> Iterator[str]:
    """For what Ray keeps; its path is short, for sockets have it in their names."""
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        yield folder


def config_of_one_workload(folder: Path, port: int) -> Path:
    """Write a Serve config of `apogee`, whose models are under `folder / "var"`."""
    var, workloads = folder / "var", REPOSITORY / "configs" / "workloads"
    registry, store = f"sqlite:///{var}/mlflow/mlflow.db", f"sqlite:///{var}/store.db"
    for arm in ARMS:
        register(Registry(Settings(var, workloads, registry, store)), folder / "bundles", arm)
    known = [path.stem for path in workloads.glob("*.yaml")]
    config = folder / "serve_config.yaml"
    config.write_text(render((REPOSITORY / "serve_config.yaml").read_text(), port, known, ["apogee"]))
    return config


@pytest.fixture
def serve_run(tmp_path: Path, ray_folder: str) -> Iterator[ServeRun]:
    """Ready; ended in any case."""
    port, mark, home = free_port(), f"serve-run-{os.getpid()}", tmp_path / "home"
    config = config_of_one_workload(tmp_path, port)
    home.mkdir()
    environment = user_environment(
        HOME=str(home),
        RAYSONDE_VAR=str(tmp_path / "var"),
        RAY_TMPDIR=ray_folder,
        RAY_USAGE_STATS_ENABLED="0",
        **{RUN_ID_VARIABLE: mark},
    )
    command = block_with(SERVE_RUN, "raysonde train").splitlines()[-1]  # the models are there
    command = command.replace("serve_config.yaml", str(config))
    output = tmp_path / "serve_run.log"
    with output.open("wb") as file:
        process = subprocess.Popen(
            ["bash", "-c", f"exec env {command}"],
            cwd=REPOSITORY,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    running = ServeRun(f"http://127.0.0.1:{port}", process, output, home, mark)
    try:
        wait_until(running.answers, START_TIMEOUT_S, "`serve run` answers")
        yield running
    finally:
        processes.end(processes.of_run(mark, process.pid), patience_s=20)
        process.wait(STOP_TIMEOUT_S)


def test_serve_run_serves_without_raysonde_up(serve_run: ServeRun) -> None:
    # no key: a request of this machine
    answer = httpx.post(f"{serve_run.url}/apogee/predict", json=bodies(flight=32)[0], timeout=30)
    assert answer.status_code == 200, answer.text
    rejected = serve_run.status()
    assert rejected.returncode != 0
    assert REJECTED in rejected.stdout + rejected.stderr
    # ~/.ray/auth_token is where the command looks by itself

    def all_run() -> bool:
        done = serve_run.status(RAY_AUTH_MODE="token")
        assert done.returncode == 0, done.stdout + done.stderr
        return statuses(done.stdout) == RUNNING

    wait_until(all_run, START_TIMEOUT_S, "both applications are running")
    there = processes.of_run(serve_run.mark, serve_run.process.pid)
    serve_run.process.send_signal(signal.SIGINT)
    serve_run.process.wait(STOP_TIMEOUT_S)
    assert processes.wait_until_gone(there, STOP_TIMEOUT_S) == []
