"""`raysonde up` as a user meets it: a start, answers, a replay, and nothing left at the end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pandas as pd
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from psutil import CONN_LISTEN

from deployments.store import Store
from scripts.host.processes import of_run
from scripts.launcher.first_models import lacks_models
from scripts.launcher.preflight import is_free
from scripts.launcher.run_state import RunState
from tests.support.flights import fly
from tests.support.models import register
from tests.support.system import ARMS, RunningSystem, bodies, free_port, wait_until
from training.registry.errors import RegistryUnreadable
from training.registry.models import Registry
from training.runtime.settings import REPOSITORY, Settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
START_S = 240.0


def inherited() -> dict[str, str]:
    """Of this process, but for what is ours or Ray's."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "RAYSONDE_"))}
    return kept | {"PYTHONUNBUFFERED": "1"}


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of a checkout whose registry has a small model an arm."""
    var = tmp_path_factory.mktemp("up") / "var"
    environment = inherited() | {"RAYSONDE_VAR": str(var)}
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


@pytest.fixture
def around(fast_system: RunningSystem) -> dict[str, str]:
    """The environment of commands that are given beside the running system."""
    settings = fast_system.settings
    return inherited() | {
        "RAYSONDE_VAR": str(settings.var),
        "RAYSONDE_REGISTRY_URI": settings.registry_uri,
        "RAYSONDE_STORE_URL": settings.store_url,
    }


def test_a_start_shows_its_stages_and_where_everything_is(fast_system: RunningSystem) -> None:
    # the system may answer before the start has seen it
    wait_until(lambda: "mlflow ui" in fast_system.output.read_text(), 30, "the start tells that it is ready")
    shown = fast_system.output.read_text()
    for text in ("Ray is starting", "Serve is starting", "raysonde is ready after"):
        assert text in shown
    assert fast_system.url in shown
    assert fast_system.key in shown
    with fast_system.client() as client:
        assert set(client.get("/info").json()["arms"]) == set(ARMS)


def test_flights_are_replayed_through_it(
    fast_system: RunningSystem, around: dict[str, str], tmp_path: Path
) -> None:
    tables = []
    for seed in (41, 42):
        samples, _ = fly(seed)
        columns = {"time_s": samples[:, 0], "altitude_agl_m": samples[:, 1]}
        tables.append(pd.DataFrame({"flight_id": f"flight-{seed}", "device": "toy", **columns}))
    pd.concat(tables).to_csv(tmp_path / "flights.csv", index=False)
    words = ["replay", "apogee", str(tmp_path / "flights.csv"), "--url", fast_system.url]
    before = pairs_of(fast_system)
    done = raysonde(around, *words, "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stdout + done.stderr
    table = pd.read_csv(tmp_path / "out" / "replay.csv")
    assert len(table) == 2 * len(ARMS) * 4
    assert table["prediction"].notna().all()
    assert (table["lower"] <= table["prediction"]).all()
    assert len(list((tmp_path / "out").glob("*.png"))) == 2
    assert "0 duplicate" in done.stdout
    # a truth that one router takes may come before the other has written the prediction
    answers = len(pd.read_csv(tmp_path / "out" / "predictions.csv"))
    wait_until(lambda: pairs_of(fast_system) == before + answers, 10, "every truth is joined")


def pairs_of(system: RunningSystem) -> int:
    """Predictions that have their truth by now."""
    with closing(Store(system.settings.store_url)) as store:
        return store.counts("apogee").joined


def test_metrics_are_of_all_routers_and_count_what_was_answered(fast_system: RunningSystem) -> None:
    assert httpx.get(f"{fast_system.url}/metrics").status_code == 401
    before = Scraped.of(fast_system)
    with fast_system.client() as client:
        answers = client.post("/batch_predict", json={"instances": bodies(flight=21)}).json()["predictions"]
        for body in bodies(flight=22)[:3]:
            answers.append(client.post("/predict", json=body).json())
        assert client.post("/predict", content=b"{").status_code == 400
        items = [{"id": answer["id"], "truth": {"apogee_m": 1000.0}} for answer in answers]
        assert client.post("/feedback", json={"items": items}).status_code == 202
        # by HAProxy: no router hears of it
        keyless = httpx.post(f"{client.base_url}predict", json=bodies(flight=22)[0])
        assert keyless.status_code == 401
    expected = {
        ("raysonde_requests_total", "call", "predict"): 4,
        ("raysonde_requests_total", "call", "batch_predict"): 1,
        ("raysonde_requests_total", "code", "200"): 4,
        ("raysonde_requests_total", "code", "202"): 1,
        ("raysonde_request_duration_seconds_count", "call", "predict"): 4,
        ("raysonde_errors_total", "kind", "malformed"): 1,
        ("raysonde_errors_total", "kind", "unauthorized"): 0,
        ("raysonde_predictions_total", "workload", "apogee"): len(answers),
    }

    def counted() -> dict[tuple[str, str, str], float]:
        now = Scraped.of(fast_system)
        return {key: now.sum(*key) - before.sum(*key) for key in expected}

    wait_until(lambda: counted() == expected, 10, f"the page tells {expected}")
    after = Scraped.of(fast_system)
    truths = ("raysonde_truths_total", "workload", "apogee")
    assert after.sum(*truths) - before.sum(*truths) == len(items)
    assert len({sample.labels["replica"] for sample in after.samples if "replica" in sample.labels}) == 2
    assert after.sum("raysonde_workload_ready", "workload", "apogee") == 1
    with fast_system.client() as client:
        arms = client.get("/info").json()["arms"]
    bundles = {s.labels["arm"]: s.labels["bundle"] for s in after.samples if s.name == "raysonde_model_info"}
    assert bundles == {arm: one["bundle"] for arm, one in arms.items()}


def test_routers_call_the_scaler_over_connections(fast_system: RunningSystem) -> None:
    calls = ("raysonde_scaler_calls_total", "way", "direct")
    before = Scraped.of(fast_system).sum(*calls)
    requests = bodies(flight=23)[:10]
    with fast_system.client() as client:
        for body in requests:
            assert client.post("/predict", json=body).status_code == 200
    wait_until(
        lambda: Scraped.of(fast_system).sum(*calls) - before >= len(requests), 10, "as many direct calls"
    )


@dataclass(frozen=True)
class Scraped:
    """What `/metrics` told."""

    samples: tuple[Sample, ...]

    @classmethod
    def of(cls, system: RunningSystem) -> Scraped:
        page = httpx.get(f"{system.url}/metrics", headers={"Authorization": f"Bearer {system.key}"})
        assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
        families = text_string_to_metric_families(page.text)
        return cls(tuple(sample for family in families for sample in family.samples))

    def sum(self, name: str, label: str, value: str) -> float:
        """Of all replicas."""
        return sum(one.value for one in self.samples if one.name == name and one.labels[label] == value)


def test_a_second_start_says_which_port_is_taken(fast_system: RunningSystem, around: dict[str, str]) -> None:
    port, pid = port_of(fast_system.url), fast_system.process.pid
    refused = raysonde(around, "up", "--port", str(port), "--dashboard-port", str(free_port()))
    assert refused.returncode == 1
    assert f"cannot start: port {port} (HTTP) is taken by" in refused.stdout
    assert f"the system runs already (process {pid}, port {port})" in refused.stdout


def test_haproxy_listens_for_this_machine_only(fast_system: RunningSystem) -> None:
    state = RunState.read(fast_system.settings.var)
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
    assert port_of(fast_system.url) in {port for _, port in ends}


def test_what_a_killed_start_leaves_is_ended(environment: dict[str, str], tmp_path: Path) -> None:
    port, dashboard_port = free_port(), free_port()
    output = tmp_path / "up.txt"
    words = ["--port", str(port), "--dashboard-port", str(dashboard_port), "--profile", "plain"]
    with output.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "scripts", "up", *words, "--workloads", "apogee"],
            cwd=REPOSITORY,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def ready() -> bool:
        assert process.poll() is None, output.read_text()
        return "raysonde is ready after" in output.read_text()

    wait_until(ready, START_S, "raysonde up is ready")
    # no key: the plain profile on loopback
    assert httpx.get(f"http://127.0.0.1:{port}/apogee/healthz").status_code == 200
    state = RunState.read(Path(environment["RAYSONDE_VAR"]))
    assert state is not None
    process.kill()
    process.wait(timeout=120)
    down = raysonde(environment, "down")
    assert down.returncode == 0, down.stdout + down.stderr
    assert of_run(state.run_id) == []
    assert is_free(port)


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
