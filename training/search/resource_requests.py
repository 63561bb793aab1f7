"""Resource requests of trials, so that trials run beside each other and never wait for each other."""

from __future__ import annotations

import math
from collections.abc import Mapping

from training.families.base import Family, resumable
from training.search.trials import WorkerGroup

# Small networks share a GPU.
_GPU_SHARE = 0.25
# The process of a trial whose workers do the work; Tune wants it to claim something.
_WAITING_CPU = 0.01


def plan_worker_group(family: Family, workers: int, free: Mapping[str, float]) -> WorkerGroup | None:
    """Plan the worker group of each trial; None where one process fits alone.

    Workers claim a core each, or less where fewer are free: they would wait forever for what is not there.

    Args:
        workers: as many as are wanted.
        free: resources of the cluster, by Ray's names.

    Raises:
        ValueError: no core is free.
    """
    if workers == 1 or resumable(family) is None:
        return None
    cores = free.get("CPU", 0.0)
    each = min(1.0, math.floor((cores - _WAITING_CPU) / workers * 100) / 100)
    if each <= 0:
        raise ValueError(f"workers: got {workers}, but the cluster has {cores:g} free cores")
    use_gpu = getattr(family, "uses_gpu", False) and free.get("GPU", 0.0) >= workers
    at_once = int(cores / (workers * each + _WAITING_CPU))
    if use_gpu:
        at_once = min(at_once, int(free["GPU"] / workers))
    return WorkerGroup(workers, each, use_gpu, max(at_once, 1))


def resource_request(family: Family, worker_group: WorkerGroup | None, gpus: float) -> dict[str, float]:
    """Return what the process of a trial requests: a core, and a part of a GPU if that is of use to it."""
    if worker_group is not None:
        return {"cpu": _WAITING_CPU}
    if gpus and getattr(family, "uses_gpu", False):
        return {"cpu": 1, "gpu": _GPU_SHARE}
    return {"cpu": 1}
