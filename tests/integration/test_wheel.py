"""raysonde as a user installs it: a wheel, an environment without the checkout, an empty folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from scripts.host.processes import of_run
from scripts.launcher.run_state import RunState
from tests.support.models import register
from tests.support.page import DOCS, block_with, blocks_of
from tests.support.system import ARMS, START_TIMEOUT_S, STOP_TIMEOUT_S, free_port, wait_until
from training.registry.models import Registry
from training.runtime.settings import REPOSITORY, Settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

# what a wheel is made of, so that nothing that lies about in the checkout gets into it
SOURCES = ("README.md", "configs", "deployments", "features", "pyproject.toml", "scripts", "training")
OFFLINE = ("--quiet", "--disable-pip-version-check", "--no-index", "--no-deps")


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, and an empty folder to work in."""

    programs: Path
    folder: Path

    @property
    def var(self) -> Path:
        return self.folder / "var"

    @property
    def environment(self) -> dict[str, str]:
        """Of a user who knows nothing of the checkout that the tests run in."""
        hidden = ("RAY_", "RAYSONDE_", "PYTHON", "VIRTUAL_ENV")
        return {name: value for name, value in os.environ.items() if not name.startswith(hidden)}

    def run(self, program: str, *words: str) -> str:
        done = subprocess.run(
            [self.programs / program, *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in SOURCES:
        path = REPOSITORY / name
        if path.is_dir():
            shutil.copytree(path, source / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(path, source)
    shutil.copy(REPOSITORY / "serve_config.yaml", source)
    build = ["wheel", *OFFLINE, "--no-build-isolation", "--wheel-dir", str(made), str(source)]
    subprocess.run([sys.executable, "-m", "pip", *build], check=True)
    (found,) = made.glob("raysonde-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    home = tmp_path_factory.mktemp("environment") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    programs = home / "bin"
    install = ["--python", str(programs / "python"), "install", *OFFLINE, "--no-compile", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True)
    # the packages that raysonde needs: to install them a second time proves nothing, and takes gigabytes
    (packages,) = home.glob("lib/python*/site-packages")
    (packages / "lent.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return Installed(programs, tmp_path_factory.mktemp("empty"))


@pytest.fixture(scope="module")
def up(installed: Installed) -> Iterator[httpx.Client]:
    """`raysonde up` in the folder, which has a small model an arm and nothing else; a client of it."""
    var = installed.var
    uri = f"sqlite:///{var}/mlflow/mlflow.db"
    registry = Registry(Settings(var, REPOSITORY / "configs" / "workloads", uri, f"sqlite:///{var}/store.db"))
    for arm in ARMS:
        register(registry, var / "bundles", arm)
    port = free_port()
    words = ["up", "--workloads", "apogee", "--port", str(port), "--dashboard-port", str(free_port())]
    output = installed.folder.parent / "up.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [installed.programs / "raysonde", *words],
            cwd=installed.folder,
            env=installed.environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def ready() -> bool:
        assert process.poll() is None, output.read_text()[-5000:]
        return "raysonde is ready after" in output.read_text()

    try:
        wait_until(ready, START_TIMEOUT_S, "`raysonde up` is ready")
        state = RunState.read(var)
        assert state is not None
        headers = {"Authorization": f"Bearer {(var / 'api-key').read_text().strip()}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30) as client:
            yield client
        process.send_signal(signal.SIGINT)
        assert process.wait(STOP_TIMEOUT_S) == 0, output.read_text()[-5000:]
        assert of_run(state.run_id) == []
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(STOP_TIMEOUT_S)


def test_it_is_the_wheel_that_runs(installed: Installed) -> None:
    code = "import configs, features, scripts; print(*configs.__path__, features.__file__, scripts.__file__)"
    for path in installed.run("python", "-c", code).split():
        assert Path(path).is_relative_to(installed.programs.parent)


def test_a_prediction_in_an_empty_folder(installed: Installed, up: httpx.Client) -> None:
    example = json.loads((installed.var / "examples" / "apogee.json").read_text())
    answer = up.post("/apogee/predict", json=example)
    assert answer.status_code == 200, answer.text
    lower, upper = answer.json()["interval"]["apogee_m"]
    assert lower < answer.json()["prediction"]["apogee_m"] < upper
    assert up.get("/metrics").status_code == 200


def test_haproxy_is_the_one_of_the_wheel(installed: Installed, up: httpx.Client) -> None:
    state = RunState.read(installed.var)
    assert state is not None
    environments = [process.environ() for process in of_run(state.run_id) if process.name() == "haproxy"]
    wrapper = Path(environments[0]["RAY_SERVE_HAPROXY_BINARY_PATH"])
    assert wrapper.is_relative_to(installed.programs.parent)
    assert os.access(wrapper, os.X_OK)


def test_the_state_is_in_the_folder_and_nowhere_else(installed: Installed, up: httpx.Client) -> None:
    assert [path.name for path in installed.folder.iterdir()] == ["var"]
    assert {"api-key", "examples", "logs", "mlflow", "store.db"} <= {p.name for p in installed.var.iterdir()}
    models = json.loads(installed.run("raysonde", "models", "apogee", "--json"))
    assert {model["arm"] for model in models} == set(ARMS)
    assert "predictions" in installed.run("raysonde", "store", "status")


def test_prometheus_watches_it_with_the_files_that_the_page_copies(
    installed: Installed, up: httpx.Client, tmp_path: Path
) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: scripts/install-test-packages")
    (tmp_path / "var").symlink_to(installed.var)
    copy = block_with(blocks_of(DOCS / "how-to" / "operate.md"), "cp -rL")
    path = f"{installed.programs}:{os.environ['PATH']}"
    environment = installed.environment | {"PATH": path}
    subprocess.run(["bash", "-euc", copy], cwd=tmp_path, env=environment, check=True)
    config = tmp_path / "configs" / "prometheus" / "prometheus.yml"
    subprocess.run([promtool, "check", "config", config], check=True)
    assert (config.parent / "../../var/targets/raysonde.json").resolve().is_file()


def test_what_needs_the_source_tree_says_so(installed: Installed) -> None:
    done = subprocess.run(
        [installed.programs / "raysonde", "render", "kuberay"],
        cwd=installed.folder,
        env=installed.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "without its source tree" in done.stdout) == (1, True)
