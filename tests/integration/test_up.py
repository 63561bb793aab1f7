"""`raysonde up` as a user meets it: a start, answers, a replay, and nothing left at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pandas as pd
import pytest
from psutil import CONN_LISTEN

from scripts.first_models import RegistryUnreadable, lacks_models
from scripts.preflight import is_free
from scripts.processes import of_run
from scripts.run_state import RunState
from tests.support.flights import fly
from tests.support.models import register
from tests.support.system import ARMS, free_port, wait_until
from training.registry import Registry
from training.settings import REPOSITORY, Settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
START_S = 240.0


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of a checkout whose registry has a small model an arm."""
    var = tmp_path_factory.mktemp("up") / "var"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "RAYSONDE_"))}
    environment = {**inherited, "RAYSONDE_VAR": str(var), "PYTHONUNBUFFERED": "1"}
    registry = Registry(settings_of(environment))
    for arm in ARMS:
        register(registry, var / "bundles", arm)
    return environment


def settings_of(environment: Mapping[str, str]) -> Settings:
    var = Path(environment["RAYSONDE_VAR"])
    return Settings(
        var=var,
        workloads=REPOSITORY / "configs" / "workloads",
        registry_uri=f"sqlite:///{var}/mlflow/mlflow.db",
        store_url=f"sqlite:///{var}/store.db",
    )


def raysonde(environment: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scripts", *words]
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


class Started:
    """`raysonde up` in a process of its own; its output in a file."""

    def __init__(self, environment: Mapping[str, str], output: Path, profile: str) -> None:
        self.port, self.dashboard_port = free_port(), free_port()
        self.output = output
        ports = ["--port", str(self.port), "--dashboard-port", str(self.dashboard_port)]
        with output.open("w") as file:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "scripts",
                    "up",
                    *ports,
                    "--profile",
                    profile,
                    "--workloads",
                    "apogee",
                ],
                cwd=REPOSITORY,
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        def ready() -> bool:
            assert self.process.poll() is None, self.output.read_text()
            return "raysonde is ready after" in self.output.read_text()

        wait_until(ready, START_S, "raysonde up is ready")

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=120)


@pytest.fixture(scope="module")
def started(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    started = Started(environment, tmp_path_factory.mktemp("output") / "up.txt", "fast")
    yield started
    if started.process.poll() is None:
        started.end(signal.SIGTERM)


def test_a_start_tells_its_stages_and_where_everything_is(
    environment: dict[str, str], started: Started
) -> None:
    started.wait_until_ready()
    shown = started.output.read_text()
    for text in ("Ray is starting", "Serve is starting", f"http://127.0.0.1:{started.port}", "mlflow ui"):
        assert text in shown
    key = (Path(environment["RAYSONDE_VAR"]) / "api-key").read_text().strip()
    assert key in shown
    url = f"http://127.0.0.1:{started.port}/apogee/info"
    info = httpx.get(url, headers={"Authorization": f"Bearer {key}"}).json()
    assert set(info["arms"]) == set(ARMS)


def test_flights_are_replayed_through_it(
    environment: dict[str, str], started: Started, tmp_path: Path
) -> None:
    tables = []
    for seed in (41, 42):
        samples, _ = fly(seed)
        columns = {"time_s": samples[:, 0], "altitude_agl_m": samples[:, 1]}
        tables.append(pd.DataFrame({"flight_id": f"flight-{seed}", "device": "toy", **columns}))
    pd.concat(tables).to_csv(tmp_path / "flights.csv", index=False)
    url, out = f"http://127.0.0.1:{started.port}", tmp_path / "out"
    done = raysonde(
        environment, "replay", "apogee", str(tmp_path / "flights.csv"), "--url", url, "--out", str(out)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    table = pd.read_csv(out / "replay.csv")
    assert len(table) == 2 * len(ARMS) * 4
    assert table["prediction"].notna().all()
    assert (table["lower"] <= table["prediction"]).all()
    assert len(list(out.glob("*.png"))) == 2
    assert "0 duplicate, 0 unmatched" in done.stdout


def test_a_second_start_says_which_port_is_taken(environment: dict[str, str], started: Started) -> None:
    ports = ["--port", str(started.port), "--dashboard-port", str(free_port())]
    refused = raysonde(environment, "up", *ports)
    assert refused.returncode == 1
    assert f"cannot start: port {started.port} (HTTP) is taken by" in refused.stdout
    assert f"the system runs already (process {started.process.pid}, port {started.port})" in refused.stdout


def test_haproxy_listens_for_this_machine_only(environment: dict[str, str], started: Started) -> None:
    state = RunState.read(Path(environment["RAYSONDE_VAR"]))
    assert state is not None
    ends = [
        socket.laddr
        for process in of_run(state.run_id)
        if process.name() == "haproxy"
        for socket in process.net_connections("tcp")
        if socket.status == CONN_LISTEN
    ]
    assert {ip for ip, _ in ends} == {"127.0.0.1"}
    assert len({port for _, port in ends}) == 3
    assert started.port in {port for _, port in ends}


def test_ctrl_c_leaves_no_process_and_no_port(environment: dict[str, str], started: Started) -> None:
    state = RunState.read(Path(environment["RAYSONDE_VAR"]))
    assert state is not None
    names = {process.name() for process in of_run(state.run_id)}
    assert {"raylet", "gcs_server", "haproxy"} <= names
    assert started.end(signal.SIGINT) == 0
    assert "Everything has stopped" in started.output.read_text()
    assert of_run(state.run_id) == []
    assert is_free(started.port)
    assert is_free(started.dashboard_port)
    assert RunState.read(Path(environment["RAYSONDE_VAR"])) is None


def test_what_a_killed_start_leaves_is_ended(environment: dict[str, str], tmp_path: Path) -> None:
    started = Started(environment, tmp_path / "up.txt", "plain")
    started.wait_until_ready()
    url = f"http://127.0.0.1:{started.port}/apogee/healthz"
    assert httpx.get(url).status_code == 200  # no key: the plain profile on loopback
    state = RunState.read(Path(environment["RAYSONDE_VAR"]))
    assert state is not None
    started.end(signal.SIGKILL)
    down = raysonde(environment, "down")
    assert down.returncode == 0, down.stdout + down.stderr
    assert of_run(state.run_id) == []
    assert is_free(started.port)


def test_models_are_lacking_without_a_registry_and_are_not_with_champions(
    environment: dict[str, str], tmp_path: Path
) -> None:
    assert lacks_models(settings_of({"RAYSONDE_VAR": str(tmp_path)}), "apogee")
    assert not lacks_models(settings_of(environment), "apogee")


def test_a_registry_that_is_none_is_refused_with_advice(tmp_path: Path) -> None:
    settings = settings_of({"RAYSONDE_VAR": str(tmp_path)})
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "mlflow.db").write_text("no database" * 100)
    with pytest.raises(RegistryUnreadable, match=r"cannot be read .* check RAYSONDE_REGISTRY_URI"):
        lacks_models(settings, "apogee")
