"""`python -m scripts.jobs.await_models WORKLOAD...`: ends when each has a model for every arm.

Serve refuses an application without models once and does not ask again, so a cluster waits here first.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence

from deployments.domain.errors import Unavailable
from scripts.launcher.first_models import lacks_models
from training.registry.errors import RegistryUnreadable
from training.runtime.settings import Settings

log = logging.getLogger(__name__)

_PERIOD_S = 5.0


def await_models(
    workloads: Sequence[str], lacks: Callable[[str], bool], pause: Callable[[float], None] = time.sleep
) -> None:
    """Come back when none of the workloads lacks a model.

    Args:
        workloads: their names.
        lacks: whether one does; raises RegistryUnreadable or Unavailable where that cannot be known yet.
        pause: waits so many seconds.
    """
    reported = ""
    while True:
        try:
            lacking = [workload for workload in workloads if lacks(workload)]
            state = f"waiting for models of {', '.join(lacking)}" if lacking else ""
        except (RegistryUnreadable, Unavailable) as error:
            state = f"waiting: {error}"
        if not state:
            log.info("every arm has a model")
            return
        if state != reported:
            log.info("%s", state)
            reported = state
        pause(_PERIOD_S)


def main(workloads: Sequence[str]) -> None:
    """Wait for models of these workloads in the registry of the environment."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    settings = Settings.from_environment()
    await_models(workloads, lambda workload: lacks_models(settings, workload))


if __name__ == "__main__":
    main(sys.argv[1:])
