"""Ray for the commands that compute."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from scripts.own_workloads import workers_runtime_env


@contextmanager
def ray_running(console: Console) -> Iterator[None]:
    """The cluster that RAY_ADDRESS names, or one of our own for as long as we need it."""
    import ray

    with console.status("Starting Ray"):
        is_ours = "RAY_ADDRESS" not in os.environ
        ray.init(
            address=os.environ.get("RAY_ADDRESS", "local"),
            include_dashboard=False if is_ours else None,
            runtime_env=None if is_ours else workers_runtime_env(),
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    try:
        yield
    finally:
        ray.shutdown()
