"""Parts of the system: which part a process is, and what each part spends. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from scripts.benchmarks.bench.raysonde import WORKLOAD

ROUTER, SCALER, ARM, HAPROXY, REST = "router", "scaler", "arm", "HAProxy", "rest"
PARTS = (ROUTER, SCALER, ARM, HAPROXY, REST)


def classify_process(command: str) -> str:
    """Return the part whose process has this command line; Ray's workers write their title over theirs.

    >>> classify_process("ray::ServeReplica:bench:Router")
    'router'
    """
    _, is_replica, deployment = command.partition(f"ray::ServeReplica:{WORKLOAD}:")
    if is_replica:
        name = deployment.partition(".")[0].strip()
        return {"Router": ROUTER, "FeatureScaler": SCALER}.get(name, ARM)
    return HAPROXY if command.split(" ")[0].endswith("haproxy") else REST


def by_part(spent_s: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Seconds of each part, of pairs of a command line and its seconds."""
    sums = dict.fromkeys(PARTS, 0.0)
    for command, seconds in spent_s:
        sums[classify_process(command)] += seconds
    return sums


def per_1000(sums: Mapping[str, float], answered: int) -> dict[str, float]:
    """Return the cost of 1,000 answers.

    Raises:
        ValueError: nothing was answered.
    """
    if answered <= 0:
        raise ValueError(f"answered: got {answered}, expected more than 0")
    return {part: 1000 * seconds / answered for part, seconds in sums.items()}
