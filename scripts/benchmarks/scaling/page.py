"""The section that `make scaling` writes into `docs/benchmarks/scaling.md`."""

from __future__ import annotations

from collections.abc import Sequence

from scripts.benchmarks.scaling.journal_cost import JournalCost
from scripts.benchmarks.scaling.needs import NODE_CORES, PLANNED_USE, Need, needs
from scripts.benchmarks.scaling.parts import ARM, HAPROXY, PARTS, ROUTER, SCALER
from scripts.benchmarks.scaling.run import LayoutPlan, MeasuredLayout
from scripts.rendering.generated_section import SectionMarkers
from scripts.replay.text_tables import TextTable

MARKS = SectionMarkers.of("make scaling")
TITLE = "# Scaling"
RATES = (10_000.0, 100_000.0)


def tables(measured: Sequence[MeasuredLayout], journal: JournalCost) -> list[TextTable]:
    """Return the tables of rates, of costs, and of what larger rates need."""
    first = measured[0]
    larger = [needs(rate, first.cpu_s_per_1000, journal.bytes_each) for rate in RATES]
    return [_throughput(measured), _costs(measured, journal), _larger(larger)]


def measured_part(
    command: str, machine: str, plan: LayoutPlan, measured: Sequence[MeasuredLayout], journal: JournalCost
) -> str:
    """Markdown."""
    how = (
        f"{machine}. One row of 16 numbers a request, arm `{plan.arm}`, profile `fast`, fixed numbers of "
        f"replicas, `wrk` on the same cores with {plan.connections} connections; medians of {plan.rounds} "
        f"rounds of {plan.duration_s} s."
    )
    parts = [f"```\n{command}\n```", how, *(table.markdown() for table in tables(measured, journal))]
    return "\n\n".join(parts)


def _throughput(measured: Sequence[MeasuredLayout]) -> TextTable:
    rows = tuple(
        (m.layout.name, f"{m.rate:,.0f}", f"{m.p50_ms:.1f}", f"{m.p99_ms:.1f}", str(m.errors))
        for m in measured
    )
    note = "Both nodes are raylets on this machine: a second one brings no core, only what crossing it costs."
    return TextTable(
        "Throughput by replicas", ("replicas", "req/s", "p50 ms", "p99 ms", "errors"), rows, note
    )


def _costs(measured: Sequence[MeasuredLayout], journal: JournalCost) -> TextTable:
    rows = tuple((m.layout.name, *(f"{m.cpu_s_per_1000[part]:.3f}" for part in PARTS)) for m in measured)
    note = (
        "CPU seconds for 1,000 requests. The journal is written by threads of the router: of its seconds, "
        f"{journal.cpu_s_per_1000:.3f} go into SQLite (measured by itself), "
        f"{journal.bytes_each:,.0f} bytes a row."
    )
    return TextTable("Cost by part", ("replicas", *PARTS), rows, note)


def _larger(larger: Sequence[Need]) -> TextTable:
    rows = tuple(
        (
            f"{need.rate:,.0f}",
            *(f"{need.replicas[part]:,}" for part in (ROUTER, SCALER, ARM)),
            f"{need.cores:,.0f}",
            f"{need.nodes:,}",
            f"{need.journal_mb_per_s:,.1f}",
        )
        for need in larger
    )
    note = (
        f"Computed from the first row of the costs (router, scaler, arm, {HAPROXY}). Each replica is planned "
        f"to use {PLANNED_USE:.0%} of a core; a node has {NODE_CORES} cores, one of them for Ray."
    )
    header = ("requests/s", "routers", "scalers", "arms", "cores", "nodes", "journal MB/s")
    return TextTable("What larger rates need", header, rows, note)
