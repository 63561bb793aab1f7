"""Ray as a `Mapper`: the only Ray code that making data needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import ray

from training.sources.base import Progress

T = TypeVar("T")
R = TypeVar("R")


def ray_map(function: Callable[[T], R], items: Sequence[T], progress: Progress) -> list[R]:
    """Call `function` on every item in Ray tasks of one CPU each; Ray must run. Raises the first error."""
    task = ray.remote(num_cpus=1)(_apply)
    shared = ray.put(function)
    references = [task.remote(shared, item) for item in items]
    waiting = list(references)
    while waiting:
        _, waiting = ray.wait(waiting, num_returns=1)
        progress(len(items) - len(waiting), len(items))
    return [ray.get(reference) for reference in references]


def _apply(function: Callable[[T], R], item: T) -> R:
    return function(item)
