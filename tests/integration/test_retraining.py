"""A retraining on a real Ray: controller, job, Tune, MLflow and gate, with a job that is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import orjson
import pytest
import ray
from ray._private.parameter import RayParams
from toy.parts import WORKLOADS, toy_contract, toy_parts, toy_raw

from deployments.domain.retraining import Request, Retraining
from deployments.lifecycle.ray_jobs import RayJobs
from deployments.lifecycle.retraining_controller import JobServiceUnavailable, RetrainingController
from deployments.store import Store, Truth
from scripts.host.agent_port import let_ray_choose_agent_port
from tests.support.killing import driver_of
from tests.support.records import row
from tests.support.system import free_port, wait_until
from training.registry.models import ModelVersion, Registry
from training.runtime.bundle import write_bundle
from training.runtime.retraining_config import RetrainingConfig
from training.runtime.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

PAIRS = 400


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """Ray with its dashboard, which takes jobs, and the toy package importable in its processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(WORKLOADS.parent.parent))
        patch.setenv("RAY_AUTH_MODE", "disabled")
        # put back afterwards
        patch.setattr(RayParams, "__init__", RayParams.__init__)
        let_ray_choose_agent_port()
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=True,
            dashboard_port=free_port(),
            logging_level="ERROR",
            log_to_driver=False,
        )
        yield
        ray.shutdown()


@dataclass(frozen=True)
class TrainedToy:
    """The toy workload, whose arm `linear` has a champion, and a store with truths."""

    settings: Settings
    store: Store
    controller: RetrainingController
    champion: ModelVersion

    @property
    def last(self) -> Retraining:
        return self.store.retrainings.latest("toy")[0]

    def reconcile_until(self, state: str, seconds: float = 180) -> Retraining:
        def reached() -> bool:
            # the agent that starts jobs comes up a little after the rest of Ray
            with suppress(JobServiceUnavailable):
                self.controller.reconcile()
            assert self.last.state != "failed", self.last.failure
            return self.last.state == state

        wait_until(reached, seconds, f"the retraining is {state}")
        return self.last


@pytest.fixture(scope="module")
def trained_toy(tmp_path_factory: pytest.TempPathFactory, cluster: None) -> TrainedToy:
    var = tmp_path_factory.mktemp("home")
    settings = Settings(var, WORKLOADS, f"sqlite:///{var}/mlflow/mlflow.db", f"sqlite:///{var}/store.db")
    registry = Registry(settings)
    write_bundle(toy_parts(), var / "bundle")
    run = registry.client.create_run(registry.experiment("toy"))
    champion = registry.register(var / "bundle", run.info.run_id)
    registry.set_champion(champion)
    store = Store(settings.store_url)
    store.create_tables()
    _write_truths(store)
    config = RetrainingConfig(min_truths=PAIRS)
    controller = RetrainingController(
        toy_contract(), config, store, RayJobs(settings), lambda: datetime.now(UTC)
    )
    return TrainedToy(settings, store, controller, champion)


def _write_truths(store: Store) -> None:
    """Areas of rectangles, as they are: the champion was never fitted."""
    raw, begin = toy_raw(PAIRS), datetime(2026, 3, 1, tzinfo=UTC)
    predictions, truths = [], []
    for number, (length, width, noise) in enumerate(raw.tolist()):
        body = {"thing": f"t{number}", "length_m": length, "width_m": width, "noise": noise}
        at = begin + timedelta(minutes=number)
        entity, payload = f"t{number}", orjson.dumps(body).decode()
        predictions.append(
            row(number)._replace(workload="toy", entity=entity, payload=payload, created_at=at)
        )
        truths.append(Truth(str(number), {"area_m2": length * width}))
    store.write_predictions(predictions)
    store.write_truths("toy", truths)


@dataclass(frozen=True)
class Ended:
    """A retraining whose first job was killed.

    Attributes:
        begun: as it was when the job had read the truths.
        done: as it was at the end.
        nice: of the process of the first job.
    """

    begun: Retraining
    done: Retraining
    nice: int


@pytest.fixture(scope="module")
def ended(trained_toy: TrainedToy) -> Ended:
    trained_toy.store.retrainings.request("toy", Request(reason="drift", at=datetime.now(UTC), by="test"))
    trained_toy.reconcile_until("running")
    wait_until(lambda: trained_toy.last.data_hash is not None, 120, "the job has read the truths")
    first = trained_toy.last
    driver = driver_of(first.attempts[0].job)
    assert driver is not None
    nice = driver.nice()
    os.kill(driver.pid, signal.SIGKILL)
    return Ended(first, trained_toy.reconcile_until("done"), nice)


def test_a_retraining_whose_first_job_is_killed_ends_in_verdicts(ended: Ended) -> None:
    first, done = ended.begun, ended.done
    assert ended.nice == 19
    assert [attempt.end is None or attempt.end.split(":")[0] for attempt in done.attempts] == [
        "FAILED",
        "succeeded",
    ]
    assert (done.query, done.data_hash) == (first.query, first.data_hash)
    assert set(done.arms) == {"linear", "toy"}
    linear = done.arms["linear"]
    assert linear.passed, linear.reasons
    assert linear.numbers["truths"] == PAIRS / 4
    assert linear.numbers["challenger_loss"] < linear.numbers["champion_loss"]


def test_what_passes_is_the_challenger_and_nothing_else_has_a_name(
    trained_toy: TrainedToy, ended: Ended
) -> None:
    registry = Registry(trained_toy.settings)
    done = ended.done
    versions = registry.versions("toy")
    named = {alias: (one.arm, one.version) for one in versions for alias in one.aliases}
    assert named["champion"] == ("linear", trained_toy.champion.version)
    passed = {arm: result.model_version for arm, result in done.arms.items() if result.passed}
    challengers = {one.arm: one.version for one in versions if "challenger" in one.aliases}
    assert challengers == passed
    for arm, result in done.arms.items():
        tags = registry.client.get_model_version(f"toy.{arm}", result.model_version).tags
        assert tags["retraining"] == done.id
        assert tags["verdict"] == ("passed" if result.passed else "archived")
        assert tags["reasons"] == " ".join(result.reasons)


def test_the_runs_hold_why_and_on_what(trained_toy: TrainedToy, ended: Ended) -> None:
    registry, done = Registry(trained_toy.settings), ended.done
    runs = registry.client.search_runs([registry.experiment("toy")], f"tags.retraining = '{done.id}'")
    assert runs
    assert done.query is not None
    for run in runs:
        assert run.data.tags["reason"] == "drift"
        assert run.data.tags["journal_hash"] == done.data_hash
        assert run.data.tags["journal_query"] == done.query.model_dump_json()
    (best,) = [run for run in runs if "gate_gain" in run.data.metrics]
    assert np.isfinite(best.data.metrics["gate_gain"])


@pytest.mark.usefixtures("ended")  # a retraining waits for one that is under way
def test_too_few_entities_to_compare_on_end_a_retraining_at_once(trained_toy: TrainedToy) -> None:
    """No attempt could mend it."""
    config = RetrainingConfig(min_truths=8, max_truths=8, cooldown_min=0)
    jobs = RayJobs(trained_toy.settings)
    controller = RetrainingController(
        toy_contract(), config, trained_toy.store, jobs, lambda: datetime.now(UTC)
    )
    trained_toy.store.retrainings.request("toy", Request(reason="by hand", at=datetime.now(UTC), by="test"))

    def has_ended() -> bool:
        controller.reconcile()
        return not trained_toy.last.is_open

    wait_until(has_ended, 120, "it has failed")
    assert trained_toy.last.failure is not None
    assert "too few" in trained_toy.last.failure
    assert len(trained_toy.last.attempts) == 1
