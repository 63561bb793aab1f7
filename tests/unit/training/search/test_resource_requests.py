"""What trials and their workers claim: never more than there is."""

from __future__ import annotations

import pytest

from training.families.base import load_family
from training.search.resource_requests import plan_worker_group, resource_request
from training.search.trials import WorkerGroup

LSTM, RIDGE = load_family("lstm"), load_family("ridge")
WAITING = 0.01


@pytest.mark.parametrize(
    ("family", "gpus", "expected"),
    [
        ("gru", 1.0, {"cpu": 1, "gpu": 0.25}),
        ("mlp", 2.0, {"cpu": 1, "gpu": 0.25}),
        ("lstm", 0.0, {"cpu": 1}),
        ("ridge", 1.0, {"cpu": 1}),
    ],
)
def test_a_trial_requests_a_part_of_a_gpu_if_it_can_use_one(
    family: str, gpus: float, expected: dict[str, float]
) -> None:
    assert resource_request(load_family(family), None, gpus) == expected


def test_a_trial_that_waits_for_its_worker_group_requests_next_to_nothing() -> None:
    assert resource_request(LSTM, WorkerGroup(2, 0.99, True, 1), 2.0) == {"cpu": WAITING}


@pytest.mark.parametrize(
    ("workers", "cores", "expected"),
    [
        (2, 8.0, WorkerGroup(2, 1.0, False, 3)),
        (2, 2.0, WorkerGroup(2, 0.99, False, 1)),
        (2, 1.0, WorkerGroup(2, 0.49, False, 1)),
        (4, 2.0, WorkerGroup(4, 0.49, False, 1)),
        (3, 0.4, WorkerGroup(3, 0.13, False, 1)),
    ],
)
def test_workers_share_the_cores_that_are_free(workers: int, cores: float, expected: WorkerGroup) -> None:
    worker_group = plan_worker_group(LSTM, workers, {"CPU": cores})
    assert worker_group == expected
    assert worker_group.at_once * (workers * worker_group.cpus_each + WAITING) <= cores


def test_each_worker_has_a_gpu_or_none_has() -> None:
    assert plan_worker_group(LSTM, 2, {"CPU": 16, "GPU": 1}) == WorkerGroup(2, 1.0, False, 7)
    assert plan_worker_group(LSTM, 2, {"CPU": 16, "GPU": 4}) == WorkerGroup(2, 1.0, True, 2)


def test_one_worker_is_no_group_and_not_every_family_has_one() -> None:
    assert plan_worker_group(LSTM, 1, {"CPU": 8}) is None
    assert plan_worker_group(RIDGE, 4, {"CPU": 8}) is None


def test_workers_without_a_core_are_refused() -> None:
    with pytest.raises(ValueError, match=r"workers: got 2, but the cluster has 0\.02 free cores"):
        plan_worker_group(LSTM, 2, {"CPU": 0.02})
