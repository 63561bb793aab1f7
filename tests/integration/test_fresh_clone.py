"""The README, word for word, in a fresh clone: install, train, serve, ask, replay real flights, stop.

`make first-start` does it, with all workloads; with FRESH_WORKLOADS=apogee, three minutes less. `make test`
leaves it out: CI is a fresh checkout itself, and other tests ask, train and replay.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from deployments.store import Store
from features.config import load_contract
from scripts.host.processes import of_run
from scripts.launcher.preflight import is_free
from scripts.launcher.run_state import RunState
from scripts.replay.offline_evaluation import evaluate
from scripts.replay.recordings import load_recordings
from tests.support.system import wait_until
from training.registry.models import Registry
from training.runtime.bundle import read_bundle
from training.runtime.inference import load_model
from training.runtime.settings import REPOSITORY, Settings

pytestmark = [pytest.mark.first_start, pytest.mark.timeout(1200)]

FIRST_START_S = 900.0
STARTED = os.environ.get("FRESH_WORKLOADS", "apogee")
PORTS = (8000, 8265)
# median absolute error of the best arm in % of the apogee, by fraction of the time to it
TARGETS_PERCENT = {0.5: 1.8, 0.6: 1.0, 0.8: 0.3}
# Another processor rounds otherwise, which training amplifies. Of the figures in docs/benchmarks/results.md,
# 1.78, 0.795 and 0.113 %, the first alone is near its target.
SLACK = {0.5: 1.05}
# One log has a sample a second; the targets are about the others.
SLOW_LOG = "COTS altimeter (1 Hz)"


def blocks() -> list[str]:
    """The code blocks of the README."""
    return re.findall(r"^```\n(.*?)^```", (REPOSITORY / "README.md").read_text(), re.DOTALL | re.MULTILINE)


def block_with(start: str) -> str:
    (found,) = [block for block in blocks() if block.startswith(start)]
    return found


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("fresh") / "raysonde"
    subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(folder)], check=True)
    if is_up_to_date(REPOSITORY / ".venv"):
        lend_packages(REPOSITORY / ".venv", folder)
    yield folder
    shutil.rmtree(folder)  # the environment in it takes gigabytes


def is_up_to_date(environment: Path) -> bool:
    """Whether `make` has made the environment of this checkout, by the rule and the pins of the clone."""
    stamp = environment / ".installed"
    pins = [REPOSITORY / name for name in ("pyproject.toml", "constraints.txt")]
    return stamp.exists() and all(stamp.stat().st_mtime >= path.stat().st_mtime for path in pins)


def lend_packages(lender: Path, clone: Path) -> None:
    """An environment for the clone, with its own command and the packages of another one.

    To install them a second time proves nothing new, and takes minutes and gigabytes.
    """
    environment = clone / ".venv"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    (packages,) = lender.glob("lib/python*/site-packages")
    home = environment / packages.relative_to(lender)
    (home / "lent.pth").write_text(f"{packages}\n")
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-e", "."]
    subprocess.run([environment / "bin" / "python", *install], cwd=clone, check=True)
    (environment / ".installed").touch()


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """Of a user who knows nothing of the checkout that the tests run in."""
    hidden = ("RAY_", "RAYSONDE_", "MAKE", "MFLAGS", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    return kept | {"WORKLOADS": STARTED}


@pytest.fixture(scope="module")
def up(clone: Path, environment: dict[str, str]) -> Iterator[Path]:
    """`make up` as the README has it, running; the file with what it prints."""
    assert all(map(is_free, PORTS)), f"the ports {PORTS} must be free for this test"
    command = block_with("make up").splitlines()[0]
    output = clone.parent / "up.txt"
    with output.open("w") as file:
        process = subprocess.Popen(
            command.split(),
            cwd=clone,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def ready() -> bool:
        assert process.poll() is None, output.read_text()[-5000:]
        return "raysonde is ready after" in output.read_text()

    try:
        wait_until(ready, FIRST_START_S, "`make up` is ready")
        yield output
        state = RunState.read(clone / "var")
        assert state is not None
        os.killpg(process.pid, signal.SIGINT)  # a terminal sends Ctrl-C to all that run in it
        process.wait(120)
        assert of_run(state.run_id) == []
        assert all(map(is_free, PORTS))
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(120)


def test_the_first_prediction(up: Path, clone: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-c", block_with("curl ")],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    answer, documented = json.loads(done.stdout), json.loads(block_with('{"id"'))
    assert list(answer) == list(documented)
    assert list(answer["prediction"]) == list(documented["prediction"])
    # the models of another machine are not the same to the last digit
    assert answer["prediction"]["apogee_m"] == pytest.approx(documented["prediction"]["apogee_m"], rel=0.01)
    lower, upper = answer["interval"]["apogee_m"]
    assert lower < 1280 < upper


@pytest.fixture(scope="module")
def replayed(up: Path, clone: Path, environment: dict[str, str], recorded_flights: Path) -> Path:
    """What the README's replay of the recorded flights has written."""
    words = block_with("raysonde replay").replace("flights.parquet", str(recorded_flights)).split()
    done = subprocess.run(
        [clone / ".venv" / "bin" / words[0], *words[1:]],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return clone / "out"


def test_recorded_flights_are_predicted_as_well_as_promised(replayed: Path) -> None:
    table = pd.read_csv(replayed / "replay.csv")
    columns = "flight_id source arm fraction prediction lower upper apogee_m ape_percent"
    assert list(table) == columns.split()
    assert len(list(replayed.glob("*.png"))) == table.groupby(["flight_id", "source"]).ngroups == 12
    quick = table[table["source"] != SLOW_LOG]
    medians = quick.groupby(["arm", "fraction"])["ape_percent"].median().unstack("arm")
    best = medians[medians.mean().idxmin()]
    for fraction, target in TARGETS_PERCENT.items():
        assert best[fraction] <= SLACK.get(fraction, 1.0) * target, f"{best.name}\n{medians}"


def test_every_answer_over_http_is_the_offline_one(
    replayed: Path, clone: Path, recorded_flights: Path
) -> None:
    online = pd.read_csv(replayed / "predictions.csv")
    contract = load_contract(clone / "configs" / "workloads", "apogee")
    var = clone / "var"
    settings = Settings(
        var, clone / "configs", f"sqlite:///{var}/mlflow/mlflow.db", f"sqlite:///{var}/store.db"
    )
    champions = Registry(settings).champions("apogee")
    models = {
        arm: load_model(read_bundle(Path(version.source), served=contract))
        for arm, version in champions.items()
    }
    # truths came between the answers: a region that was made at another level is wider or narrower
    journal = Store(settings.store_url).predictions("apogee", limit=100_000)
    at_nominal = {row.id for _, row in journal if row.level in (None, row.coverage)}
    compared = 0
    recordings = load_recordings(clone / "configs" / "workloads", contract, recorded_flights)
    for recording, by_arm in evaluate(contract, recordings, models).items():
        for arm, predictions in by_arm.items():
            if arm not in models:
                continue  # a baseline
            of_log = (online["flight_id"] == recording.entity) & (online["source"] == recording.source)
            got = online[of_log & (online["arm"] == arm)].sort_values("end_s")
            expected = [p for p in predictions if p.end_s <= got["end_s"].max() + 1e-9]
            assert len(got) == len(expected) > 0
            np.testing.assert_allclose(got["prediction"], [p.value for p in expected], rtol=1e-5)
            nominal = got["id"].isin(at_nominal).to_numpy()
            for column, values in (
                ("lower", np.array([p.lower for p in expected])),
                ("upper", np.array([p.upper for p in expected])),
            ):
                np.testing.assert_allclose(got[column][nominal], values[nominal], rtol=1e-5)
            compared += len(got)
    assert compared == len(online)
    assert online["id"].isin(at_nominal).any()
