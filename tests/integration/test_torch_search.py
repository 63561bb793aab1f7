"""Searches of torch families on a real Ray: trials that are killed, and models that workers fit together."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import ray
from numpy.typing import NDArray
from toy.mortal import PARAMS
from toy.parts import WORKLOADS

from tests.support.searches import TRAIN, VALID, kept_trials, plan
from tests.support.system import wait_until
from training.families.base import load_family
from training.fitting.losses import split_loss
from training.runtime.settings import REPOSITORY
from training.search.trials import Best, TrialRecord
from training.search.tune import search

pytestmark = [
    pytest.mark.integration,
    # Ray 2.60, Optuna 5 and torch warn about each other's and their own past
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning",
        "ignore::FutureWarning",
        "ignore::UserWarning",
        "ignore::ResourceWarning",
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the mortal family leaves its traces."""
    return tmp_path_factory.mktemp("mortal")


@pytest.fixture(autouse=True)
def _empty(folder: Path) -> None:
    for left in folder.iterdir():
        left.unlink()


@pytest.fixture(scope="module", autouse=True)
def cluster(folder: Path) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(WORKLOADS.parent.parent))
        patch.setenv("TOY_MORTAL", str(folder))
        patch.setenv("RAY_AUTH_MODE", "disabled")
        context = ray.init(
            address="local", num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False
        )
        patch.delenv("TOY_MORTAL")
        yield context.address_info["gcs_address"]
        ray.shutdown()


@pytest.fixture(scope="module")
def undisturbed() -> tuple[NDArray[np.float32], list[float]]:
    """What the model that one process fits says of the valid rows, and the losses of its epochs."""
    losses: list[float] = []
    fitted = load_family("toy.mortal").fit(PARAMS, TRAIN, VALID, 3, lambda _, loss: losses.append(loss))
    return fitted.predict(VALID.x), losses


def outputs(best: Best) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(best.onnx, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": VALID.x})[0])


def epochs(folder: Path) -> Counter[int]:
    """How often the first worker has done each epoch."""
    found = (trace.name.split("-") for trace in folder.glob("*-*-*"))
    return Counter(int(step) for step, worker, _ in found if worker == "0")


# Worker groups that are killed take longest: they are faults like those of the loop.
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.faults)])
def test_a_killed_trial_goes_on_from_its_last_epoch(
    workers: int, folder: Path, tmp_path: Path, undisturbed: tuple[NDArray[np.float32], list[float]]
) -> None:
    (folder / "die").touch()
    records: list[TrialRecord] = []
    best = search(
        plan("toy.mortal", workers), TRAIN, VALID, tmp_path / "tune", lambda record, _: records.append(record)
    )
    assert not (folder / "die").exists()
    done = epochs(folder)
    assert sorted(done) == [1, 2, 3, 4, 5, 6]
    # a worker group may lose the epochs that its controller has not seen yet
    assert done[1] == 1 if workers > 1 else set(done.values()) == {1}
    output, losses = undisturbed
    np.testing.assert_allclose(outputs(best), output, atol=1e-5)
    (record,) = records
    assert record.error is None
    assert record.loss == pytest.approx(min(losses), abs=1e-6)
    assert [record.curve[step] for step in range(1, 7)] == pytest.approx(losses, abs=1e-6)


SEARCH = """
import sys
from pathlib import Path
import ray
from tests.support.searches import TRAIN, VALID, plan
from training.fitting.losses import split_loss
from training.search.tune import search
from training.runtime.settings import REPOSITORY
ray.init(address=sys.argv[1], log_to_driver=False)
search(plan("toy.mortal", int(sys.argv[3])), TRAIN, VALID, Path(sys.argv[2]), lambda *_: None)
"""


def saved_by_groups(search: Path) -> str:
    return "".join(
        state.read_text() for state in search.glob("worker_groups/*/checkpoint_manager_snapshot.json")
    )


@pytest.mark.parametrize(
    ("workers", "saved", "third"),
    [
        (1, kept_trials, "checkpoint_000002"),
        pytest.param(2, saved_by_groups, '"step":3', marks=pytest.mark.faults),
    ],
)
def test_a_killed_search_goes_on_within_its_trial(
    workers: int,
    saved: Callable[[Path], str],
    third: str,
    folder: Path,
    cluster: str,
    tmp_path: Path,
    undisturbed: tuple[NDArray[np.float32], list[float]],
) -> None:
    (folder / "hold").touch()
    directory = tmp_path / "tune"
    path = os.pathsep.join([str(REPOSITORY), str(WORKLOADS.parent.parent)])
    command = [sys.executable, "-c", SEARCH, cluster, str(directory), str(workers)]
    victim = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path})

    def third_epoch_is_saved() -> bool:
        assert victim.poll() is None
        return third in saved(directory)

    wait_until(lambda: epochs(folder)[3] == 1 and third_epoch_is_saved(), 90, "the third epoch")
    victim.kill()
    victim.wait()
    wait_until(lambda: ray.available_resources().get("CPU") == 2, 90, "the end of the trial")
    (folder / "hold").unlink()
    best = search(plan("toy.mortal", workers), TRAIN, VALID, directory, lambda *_: None)
    assert epochs(folder) == Counter(range(1, 7))
    np.testing.assert_allclose(outputs(best), undisturbed[0], atol=1e-5)


def test_a_search_by_workers_stops_the_bad_and_finds_what_one_process_makes(tmp_path: Path) -> None:
    """A worker group whose trial is stopped early leaves its cores to the next."""
    records: list[TrialRecord] = []
    directory = tmp_path / "tune"
    best = search(plan("toy.brief", 2, 3), TRAIN, VALID, directory, lambda record, _: records.append(record))
    assert [record.error for record in records] == [None] * 3
    assert 1 <= sum(record.loss is None for record in records) <= 2
    assert not directory.exists()
    alone = load_family("toy.brief").fit(best.params, TRAIN, VALID, 3, lambda *_: None)
    np.testing.assert_allclose(outputs(best), alone.predict(VALID.x), atol=1e-4)
    assert best.loss == pytest.approx(split_loss(alone.predict(VALID.x), VALID), abs=1e-5)
