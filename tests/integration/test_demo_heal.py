"""The proof of the loop, short: `raysonde demo heal` is run, and each step is looked for where it is kept.

That is HTTP while it runs, and the store and the registry afterwards.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.store import Store
from features.config import load_contract, load_sections
from scripts.demo.heal import EVENTS
from scripts.demo.plan import SHORT
from scripts.demo.synthetic_weather import WORKLOAD, write
from scripts.demo.workspace import Workspace
from scripts.host.processes import of_run
from scripts.launcher.preflight import is_free
from scripts.launcher.run_state import RunState
from tests.support.system import wait_until
from training.config import TrainingConfig
from training.families.base import load_family
from training.pipeline.assembly import Origin, assemble
from training.pipeline.preparation import prepare
from training.pipeline.progress import no_stages
from training.registry.models import Registry
from training.runtime.bundle import write_bundle
from training.runtime.settings import REPOSITORY, Settings
from training.search.trials import Best
from training.sources.base import serial_map

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(900),
    # torch says them when it writes a network as ONNX
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]

HEALED_S = 800.0
ARMS = ("gru", "ridge")


def register_first_models(settings: Settings) -> None:
    """What the command trains at its first run, fitted at once instead of searched for."""
    contract = load_contract(settings.workloads, WORKLOAD)
    config = TrainingConfig.model_validate(load_sections(settings.workloads, WORKLOAD)["training"])
    prepared = prepare(contract, config, settings.data, config.seed, serial_map, no_stages)
    registry = Registry(settings)
    for family in config.families:
        params = {**config.search[family], "device": "cpu"}
        fitted = load_family(family).fit(params, prepared.train, prepared.valid, 0, lambda step, loss: None)
        origin = Origin(family, datetime.now(UTC), "unknown", 0)
        parts = assemble(prepared, Best("t1", params, 0.0, fitted.to_onnx()), origin, config.coverage)
        write_bundle(parts, settings.var / "bundles" / family)
        run = registry.client.create_run(registry.experiment(WORKLOAD))
        registry.set_champion(registry.register(settings.var / "bundles" / family, run.info.run_id))


@dataclass
class Run:
    """The run that has ended, and what was seen of it over HTTP while it went on."""

    settings: Settings
    code: int
    output: str
    state: RunState
    events: dict[str, Any]
    shown: set[tuple[str, str]] = field(default_factory=set)
    champions_shown: set[tuple[str, str]] = field(default_factory=set)

    @property
    def store(self) -> Store:
        return Store(self.settings.store_url)

    def states(self, arm: str) -> list[str]:
        """Of the arm's promotions, in the order in which they were."""
        acts = [act.detail for act in self.store.audit_events(WORKLOAD) if act.kind == "promotion"]
        return [detail["state"] for detail in acts if detail["arm"] == arm]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The command, from its start to its end."""
    workspace = Workspace(tmp_path_factory.mktemp("demo"))
    write(workspace.folder / "workloads", SHORT)
    settings = Settings(
        workspace.var,
        workspace.folder / "workloads",
        f"sqlite:///{workspace.var}/mlflow/mlflow.db",
        f"sqlite:///{workspace.var}/store.db",
    )
    register_first_models(settings)
    log = workspace.folder / "output.log"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "RAYSONDE_"))}
    command = [sys.executable, "-m", "scripts", "demo", "heal", "--short", "--folder", str(workspace.folder)]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, "--seed", "5"],
            cwd=REPOSITORY,
            env=environment | {"PYTHONUNBUFFERED": "1", "COLUMNS": "160"},
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until(lambda: RunState.read(workspace.var) is not None, 60, "its state is written")
        state = RunState.read(workspace.var)
        assert state is not None
        seen = Run(settings, -1, "", state, {})
        wait_until(lambda: _has_ended(process, seen), HEALED_S, "it ends")
    except AssertionError as error:
        raise AssertionError(f"{error}; it printed: {log.read_text()[-3000:]}") from error
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(120)
    seen.code, seen.output = process.returncode, log.read_text()
    assert seen.code == 0, seen.output[-3000:]
    seen.events = json.loads((workspace.folder / EVENTS).read_bytes())
    yield seen
    assert not of_run(state.run_id)
    assert all(is_free(port) for port in state.ports)


def _has_ended(process: subprocess.Popen[bytes], run: Run) -> bool:
    """Whether it has ended; notes what the running system shows."""
    if process.poll() is not None:
        return True
    key = run.settings.api_key_file
    headers = {"Authorization": f"Bearer {key.read_text().strip()}"} if key.exists() else {}
    base = f"http://127.0.0.1:{run.state.ports[0]}/{WORKLOAD}"
    with suppress(httpx.HTTPError, ValueError), httpx.Client(base_url=base, headers=headers) as client:
        promotions = client.get("/promotions").raise_for_status().json()
        run.shown |= {(one["arm"], one["state"]) for one in promotions}
        arms = client.get("/info").raise_for_status().json()["arms"]
        run.champions_shown |= {(arm, arms[arm]["model_version"]) for arm in arms}
    return False


def test_the_drift_was_found_with_a_reason(run: Run) -> None:
    drifts = [event for event in run.store.monitor_feed.events(WORKLOAD) if event.state == "drifting"]
    assert {event.kind for event in drifts} >= {"input", "concept"}
    assert all(event.reason and event.evidence for event in drifts)
    temperature = next(event for event in drifts if event.kind == "input")
    assert "temperature_c" in temperature.reason


def test_a_job_learnt_from_what_was_asked_since_and_its_models_passed_the_gate(run: Run) -> None:
    (*_, first) = run.store.retrainings.latest(WORKLOAD)
    assert (first.state, first.requests[0].reason, len(first.attempts)) == ("done", "drift", 1)
    events = {event.seq: event for event in run.store.monitor_feed.events(WORKLOAD)}
    assert first.query is not None
    assert first.started_at is not None
    requests = [one for one in first.requests if one.at < first.started_at and one.event]
    assert first.query.since == max(events[one.event].at for one in requests if one.event)
    assert set(first.arms) == set(ARMS)
    for result in first.arms.values():
        assert result.passed, result.reasons
        assert result.numbers["challenger_loss"] < 0.5 * result.numbers["champion_loss"]


@pytest.mark.parametrize("arm", ARMS)
def test_each_new_version_proved_itself_in_the_shadow_and_took_over(run: Run, arm: str) -> None:
    assert run.states(arm)[:3] == ["shadowing", "promoting", "probation"]
    assert (arm, "shadowing") in run.shown
    assert {(arm, "1"), (arm, "2")} <= run.champions_shown
    promotion = next(one for one in run.store.promotions.latest(WORKLOAD) if one.arm == arm)
    better = next(look for look in promotion.looks if look.passed)
    assert better.phase == "shadowing"
    champion = Registry(run.settings).champions(WORKLOAD)[arm]
    assert champion.version == "2"
    table = run.store.routing(WORKLOAD)
    assert table is not None
    assert (table.arms[arm].model_version, table.arms[arm].bundle) == ("2", champion.bundle)
    assert table.previous[arm].model_version == "1"


def test_the_error_is_back_where_it_was(run: Run) -> None:
    """As the journal has it."""
    squares = []
    after = 0
    while pairs := run.store.joined(WORKLOAD, after):
        name = load_contract(run.settings.workloads, WORKLOAD).target.name
        squares += [(one.prediction.prediction[name] - one.truth[name]) ** 2 for one in pairs]
        after = pairs[-1].seq
    calm = round(0.9 * SHORT.calm_s * SHORT.rate_per_s)
    truths = SHORT.rule.truths

    def rms(some: list[float]) -> float:
        return math.sqrt(sum(some) / len(some))

    level = rms(squares[:calm])
    assert level == pytest.approx(run.events["calm_error"], rel=0.05)
    worst = max(rms(squares[start : start + truths]) for start in range(0, len(squares) - truths, 20))
    assert worst > 2 * level
    assert rms(squares[-truths:]) < 1.1 * SHORT.rule.factor * level


def test_no_request_failed_and_the_events_are_written(run: Run) -> None:
    assert run.events["healed"]
    assert run.events["failed_requests"] == 0
    steps = run.events["steps_s"]
    for order in (
        ("wave", "high", "healed"),
        ("wave", "drifting", "job", "done"),
        ("job", "probation", "healed"),
    ):
        times_s = [steps[kind] for kind in order]
        assert times_s == sorted(times_s)
    for word in ("heat wave", "drift", "job done", "gate: passed", "promoted", "healed"):
        assert word in run.output
    assert (Path(run.settings.var).parent / "demo-heal.png").stat().st_size > 10_000
