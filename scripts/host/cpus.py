"""RAYSONDE_CPUS: how much of a machine the system may take, by one variable.

Ray gives out so many CPUs, and a numeric library starts one thread in each process, since Ray's claims are by
process. Where the system can (Linux), a start on one machine keeps to so many cores as well.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, MutableMapping

CPUS_VARIABLE = "RAYSONDE_CPUS"
HALF = "half"
# OpenBLAS would start a thread a core in every replica, before Ray tells it how many the replica has
ONE_THREAD: Mapping[str, str] = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)


def usable_cpus() -> int:
    """Return the cores that this process may use, or the whole ones of a container's quota if fewer."""
    from joblib import cpu_count  # a quarter of a second

    return int(cpu_count())


def requested_cpus(
    environment: Mapping[str, str] | None = None, usable: Callable[[], int] = usable_cpus
) -> int | None:
    """Return how many cores RAYSONDE_CPUS asks for; None when it is not set, and there is no bound.

    Args:
        environment: where it is read from; None: that of this process.
        usable: counts what there is, for `half`.

    Raises:
        ValueError: it is neither a whole number from 1 nor `half`.
    """
    from training.runtime.environment import Environment  # here: see there

    requested = (Environment.read() if environment is None else Environment.of(environment)).cpus.strip()
    if not requested:
        return None
    if requested == HALF:
        return max(usable() // 2, 1)
    if requested.isdecimal() and int(requested) >= 1:
        return int(requested)
    raise ValueError(f"{CPUS_VARIABLE}: got {requested!r}, expected a whole number from 1, or {HALF}")


def bound_threads(environment: MutableMapping[str, str]) -> int | None:
    """Write the bounds into the environment of what will be started; threads that were chosen there stay.

    Returns:
        For Ray's `num_cpus`: None when there is no bound.

    Raises:
        ValueError: as `requested_cpus`.
    """
    cpus = requested_cpus(environment)
    if cpus is not None:
        # a child that reads `half` would take half of this half
        environment[CPUS_VARIABLE] = str(cpus)
        for name, threads in ONE_THREAD.items():
            environment.setdefault(name, threads)
    return cpus


def bound_process() -> int | None:
    """`bound_threads` for this process, which keeps to so many cores from now on, with all that it starts."""
    cpus = bound_threads(os.environ)
    if cpus is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cpus])
    return cpus
