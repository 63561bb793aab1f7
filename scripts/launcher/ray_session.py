"""Ray for the commands that compute."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from scripts.host.cpus import bound_process
from scripts.host.failure import exit_on
from scripts.launcher.user_workloads import workers_runtime_env


@contextmanager
def ray_running(console: Console) -> Iterator[None]:
    """Use the cluster that RAY_ADDRESS names, or one of our own, bounded by RAYSONDE_CPUS, in the context.

    Raises:
        typer.Exit: RAYSONDE_CPUS says nothing that can be meant.
    """
    import ray

    from training.runtime.environment import Environment  # here: see there

    with console.status("Starting Ray"):
        named = Environment.read().ray_address
        is_ours = not named
        with exit_on(console, "cannot start", ValueError):
            cpus = bound_process() if is_ours else None
        ray.init(
            address=named or "local",
            num_cpus=cpus,
            include_dashboard=False if is_ours else None,
            runtime_env=None if is_ours else workers_runtime_env(),
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    try:
        yield
    finally:
        ray.shutdown()
