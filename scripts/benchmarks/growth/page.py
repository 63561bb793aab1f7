"""`docs/benchmarks/growth.md`: the part of it that the benchmark writes."""

from __future__ import annotations

from collections.abc import Mapping

from scripts.benchmarks.bench.measure import Measured
from scripts.benchmarks.growth.layouts import Size
from scripts.replay.text_tables import TextTable

_METHOD = """\
One row of 16 numbers a request, as in [benchmarks.md](benchmarks.md), by 16 connections of `wrk` on the same
cores. The arms share the requests evenly; each is a deployment of its own with a version of its own of the
same ridge regression. Every row of the journal is a prediction with its truth. An ensemble that nobody asks
has the router follow the truths. The sizes are started in turn; medians of {rounds} rounds each. CPU s is
processor time per 1,000 answers, MB the sum of the proportional set sizes of all processes."""
_HEADER = ("", "req/s", "p50 ms", "p95 ms", "p99 ms", "errors", "CPU s", "MB", "p50", "p99")


def growth_table(found: Mapping[Size, Measured]) -> TextTable:
    """Return a row a size; its last two cells are latencies over those of the first."""
    first = next(iter(found.values()))
    rows = tuple(
        (
            size.name,
            f"{one.rate:,.0f}",
            *(f"{ms:.1f}" for ms in (one.p50_ms, one.p95_ms, one.p99_ms)),
            str(one.errors),
            f"{one.cpu_s_per_1000:.2f}",
            f"{one.memory_bytes / 1e6:,.0f}",
            f"x {one.p50_ms / first.p50_ms:.2f}",
            f"x {one.p99_ms / first.p99_ms:.2f}",
        )
        for size, one in found.items()
    )
    return TextTable(f"Latency at {first.connections} connections", _HEADER, rows)


def growth_part(found: Mapping[Size, Measured], command: str, circumstances: str, rounds: int) -> str:
    """Markdown of what was measured, with how."""
    parts = (
        f"```\n{command}\n```",
        circumstances,
        _METHOD.format(rounds=rounds),
        growth_table(found).markdown(2),
    )
    return "\n\n".join(parts)
