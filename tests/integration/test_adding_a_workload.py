"""docs/tutorial/adding-a-workload.md, word for word: two files, a training, a start, a request."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from scripts.host.processes import of_run
from scripts.launcher.run_state import RunState
from tests.support.page import block_with, blocks_of, write_files
from tests.support.system import free_port, wait_until
from training.runtime.settings import REPOSITORY

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

BLOCKS = blocks_of(REPOSITORY / "docs" / "tutorial" / "adding-a-workload.md")
START_S = 240.0
RMSE = 2  # column of the table that a training ends with: version, MAE, RMSE


@pytest.fixture(scope="module")
def user_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page's files, and a `raysonde` that keeps its state there."""
    user_folder = tmp_path_factory.mktemp("user")
    write_files(BLOCKS, user_folder)
    assert sorted(path.name for path in (user_folder / "mine").iterdir()) == ["diabetes.py", "diabetes.yaml"]
    command = user_folder / "bin" / "raysonde"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m scripts "$@"\n')
    command.chmod(0o755)
    return user_folder


@pytest.fixture(scope="module")
def environment(user_folder: Path) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "RAYSONDE_"))}
    return inherited | {
        "PATH": f"{user_folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "RAYSONDE_VAR": str(user_folder / "var"),
        "PYTHONUNBUFFERED": "1",
        "COLUMNS": "80",
    }


@pytest.fixture(scope="module")
def trained(user_folder: Path, environment: dict[str, str]) -> str:
    """What the page's training prints."""
    done = subprocess.run(
        block_with(BLOCKS, "raysonde train").split(),
        cwd=user_folder,
        env=environment | {"RAY_AUTH_MODE": "disabled"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def started(user_folder: Path, environment: dict[str, str], *options: str) -> Iterator[int]:
    """The page's second command, with its port; ended by Ctrl-C, which leaves nothing."""
    port, dashboard_port = free_port(), free_port()
    ports = ["--port", str(port), "--dashboard-port", str(dashboard_port)]
    output = user_folder / f"up.{port}.txt"
    with output.open("w") as file:
        process = subprocess.Popen(
            [*block_with(BLOCKS, "raysonde up").split(), *ports, *options],
            cwd=user_folder,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def ready() -> bool:
        assert process.poll() is None, output.read_text()[-5000:]
        return "raysonde is ready after" in output.read_text()

    try:
        wait_until(ready, START_S, "the page's system is ready")
        assert "training the first ones" not in output.read_text()
        yield port
        state = RunState.read(Path(environment["RAYSONDE_VAR"]))
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 0
        assert state is not None
        assert of_run(state.run_id) == []
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(120)


@pytest.fixture(scope="module")
def port(user_folder: Path, environment: dict[str, str], trained: str) -> Iterator[int]:
    """Of the system that the page's second command starts."""
    with started(user_folder, environment) as port:
        yield port


def numbers(table: str) -> dict[str, list[str]]:
    """Cells of each row of a table of champions, by its first word; a baseline has no version."""
    rows = {}
    for line in table.split("New champions")[1].splitlines():
        cells = re.split(r" {2,}", line.strip())
        if cells[-1] == "baseline":
            rows[cells[0]] = ["", *cells[1:]]
        elif re.fullmatch(r"[0-9a-f]{10}", cells[-1].split()[-1] if cells[-1] else ""):
            rows[cells[0]] = cells[1:]
    return rows


def test_the_training_ends_with_the_table_of_the_page(trained: str) -> None:
    shown, printed = numbers(block_with(BLOCKS, "New champions")), numbers(trained)
    assert (
        list(printed) == list(shown) == ["gradient_boosting", "random_forest", "always_152", "line_over_bmi"]
    )
    for baseline in ("always_152", "line_over_bmi"):
        assert printed[baseline] == shown[baseline]
    for arm in ("gradient_boosting", "random_forest"):
        # which trials are stopped early depends on the machine
        assert float(printed[arm][RMSE]) == pytest.approx(float(shown[arm][RMSE]), rel=0.1)
        assert float(printed[arm][RMSE]) < float(shown["line_over_bmi"][RMSE])


def test_the_application_of_the_page_brings_its_models_into_service_by_itself(
    user_folder: Path, environment: dict[str, str], trained: str
) -> None:
    """Alone in its config, without the root application and its controller, on a store that is empty."""
    var = Path(environment["RAYSONDE_VAR"])
    config = yaml.safe_load((REPOSITORY / "serve_config.yaml").read_text())
    config["applications"] = yaml.safe_load(block_with(BLOCKS, "- name: diabetes"))
    (user_folder / "my_config.yaml").write_text(yaml.safe_dump(config))
    own = {
        "RAYSONDE_VAR": str(user_folder / "own"),
        "RAYSONDE_REGISTRY_URI": f"sqlite:///{var}/mlflow/mlflow.db",
    }
    with started(user_folder, environment | own, "--config", "my_config.yaml") as port:
        key = (user_folder / "own" / "api-key").read_text().strip()
        url, headers = f"http://127.0.0.1:{port}/diabetes/info", {"Authorization": f"Bearer {key}"}
        # more than there are routers: ready means that each of them has the arms
        arms = [set(httpx.get(url, headers=headers, timeout=30).json()["arms"]) for _ in range(8)]
    assert arms == [{"gradient_boosting", "random_forest"}] * 8


def test_the_request_of_the_page_is_answered_as_there(
    user_folder: Path, environment: dict[str, str], port: int
) -> None:
    command = block_with(BLOCKS, "curl").replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    done = subprocess.run(
        ["bash", "-c", command], cwd=user_folder, env=environment, capture_output=True, text=True, check=True
    )
    answer, documented = json.loads(done.stdout), json.loads(block_with(BLOCKS, '{"id"'))
    assert list(answer) == list(documented)
    assert answer["arm"] == documented["arm"]
    expected = documented["prediction"]["progression"]
    assert answer["prediction"]["progression"] == pytest.approx(expected, rel=0.15)
    lower, upper = answer["interval"]["progression"]
    assert lower < answer["prediction"]["progression"] < upper


def test_only_the_chosen_workload_runs_and_refuses_in_the_words_of_its_contract(
    user_folder: Path, environment: dict[str, str], port: int
) -> None:
    key = (user_folder / "var" / "api-key").read_text().strip()
    with httpx.Client(
        base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {key}"}
    ) as client:
        assert client.get("/healthz").json()["workloads"] == {"diabetes": "ready"}
        row = json.loads((user_folder / "var" / "examples" / "diabetes.json").read_text())
        assert client.post("/diabetes/predict", json=row).status_code == 200
        refused = client.post("/diabetes/predict", json=row | {"bmi": 2260})
    assert refused.status_code == 422
    assert "bmi: got 2260" in refused.json()["detail"]
    assert "kg/m2" in refused.json()["detail"]
