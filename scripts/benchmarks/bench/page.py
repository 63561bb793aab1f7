"""`docs/benchmarks/benchmarks.md`: the part of it that the benchmark writes, between two marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.benchmarks.bench.contender import Contender
from scripts.benchmarks.bench.measure import ContenderFailed, Measured
from scripts.rendering.generated_section import SectionMarkers, replace_part
from scripts.replay.text_tables import TextTable

MARKS = SectionMarkers.of("make bench")
_TITLE = "# Benchmarks"
_SUMMARY_CONNECTIONS = 64
_METHOD = """\
One row of 16 numbers a request, one number back. Each contender in turn on the same machine, with the same
fitted models (ridge regression; a forest of 100 trees; a perceptron of 2 x 64): as a scikit-learn pipeline,
or the same model as ONNX. `wrk` is a process of its own on the same cores, with one thread. The numbers are
medians of {rounds} rounds of {duration_s} s{in_starts}, after load at 64 connections that lasts until what
it sets off is done (replicas that start), and a warm-up each. Errors are those of all rounds together; req/s
counts none of them. CPU s is processor time per 1,000 answers, of the server with all its children; MB the
sum of their proportional set sizes (PSS). No contender is slowed down, nor tuned beyond its
documented defaults but as told here:"""
_HEADER = (
    "contender",
    "conn.",
    "req/s",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "errors",
    "CPU s",
    "MB",
)


@dataclass(frozen=True)
class Circumstances:
    """The circumstances that the numbers hold for; `rounds` are those of one start."""

    command: str
    date: str
    machine: str
    versions: Sequence[str]
    rounds: int
    duration_s: int
    starts: int = 1


def tables(measured: Sequence[Measured], arms: Sequence[str]) -> list[TextTable]:
    """Requests/s of all at a glance, then everything, a table an arm."""
    return [_summary(measured, arms), *(_of_arm(measured, arm) for arm in arms)]


def measured_part(
    around: Circumstances,
    contenders: Sequence[Contender],
    measured: Sequence[Measured],
    failed: Sequence[ContenderFailed],
    arms: Sequence[str],
) -> str:
    """Markdown of what was measured, with how."""
    facts = [f"- {around.machine}; {around.date}", *(f"- {line}" for line in around.versions)]
    served = [f"- **{contender.name}**: {contender.about}" for contender in contenders]
    method = _METHOD.format(
        rounds=around.rounds * around.starts,
        duration_s=around.duration_s,
        in_starts=f" in {around.starts} starts" if around.starts > 1 else "",
    )
    problems = [f"- {failure.contender}, {failure.arm}: {failure.why}" for failure in failed]
    parts = [
        f"```\n{around.command}\n```",
        "\n".join(facts),
        method,
        "\n".join(served),
        *(table.markdown(level=2) for table in tables(measured, arms)),
        "## Not measured\n\n" + "\n".join(problems) if problems else "",
    ]
    return "\n\n".join(part for part in parts if part)


def page_with(before: str, part: str) -> str:
    """Return the page with this part in place of the one that it had; what else is on it stays.

    Args:
        before: the page as it is, empty if there is none.
    """
    return replace_part(before, part, MARKS, _TITLE)


def _summary(measured: Sequence[Measured], arms: Sequence[str]) -> TextTable:
    there = {m.connections for m in measured}
    shown = _SUMMARY_CONNECTIONS if _SUMMARY_CONNECTIONS in there else max(there, default=0)
    rates: Mapping[tuple[str, str], float] = {
        (m.contender, m.arm): m.rate for m in measured if m.connections == shown
    }
    names = dict.fromkeys(m.contender for m in measured)
    rows = tuple(
        (name, *(f"{rates[name, arm]:,.0f}" if (name, arm) in rates else "" for arm in arms))
        for name in names
    )
    return TextTable(f"Requests/s at {shown} connections", ("contender", *arms), rows)


def _of_arm(measured: Sequence[Measured], arm: str) -> TextTable:
    return TextTable(f"Arm {arm}", _HEADER, tuple(_cells(m) for m in measured if m.arm == arm))


def _cells(m: Measured) -> tuple[str, ...]:
    return (
        m.contender,
        str(m.connections),
        f"{m.rate:,.0f}",
        *(f"{ms:.1f}" if ms < 100 else f"{ms:,.0f}" for ms in (m.p50_ms, m.p95_ms, m.p99_ms)),
        str(m.errors),
        f"{m.cpu_s_per_1000:.2f}",
        f"{m.memory_bytes / 1e6:,.0f}",
    )
