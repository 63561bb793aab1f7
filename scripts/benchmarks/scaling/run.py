"""Measures each layout in turn: started, loaded, ended."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx
import psutil

from features.locations import serve_config as own_serve_config
from scripts.benchmarks.bench.models import load_rows
from scripts.benchmarks.bench.server import CannotServe, Server
from scripts.benchmarks.bench.system import Dashboard, own_site, own_system
from scripts.benchmarks.bench.usage import CpuTimes
from scripts.benchmarks.bench.wrk import Load, run_wrk
from scripts.benchmarks.scaling.layouts import Layout, is_complete, serve_config
from scripts.benchmarks.scaling.parts import by_part, per_1000
from scripts.benchmarks.scaling.second_node import second_node
from scripts.host.ray_address import forget_dead_address
from scripts.launcher.preflight import free_port

_COMPLETE_S = 90.0
_POLL_S = 0.5
_WARM_UP_S = 3
_PROFILE = "fast"


@dataclass(frozen=True)
class LayoutPlan:
    """The plan by which each layout is measured."""

    arm: str
    connections: int
    rounds: int
    duration_s: int
    folder: Path
    port: int


@dataclass(frozen=True)
class MeasuredLayout:
    """Medians of the rounds; errors and processor times are those of all rounds together."""

    layout: Layout
    rate: float
    p50_ms: float
    p99_ms: float
    errors: int
    cpu_s_per_1000: Mapping[str, float]


def measure(plan: LayoutPlan, layout: Layout, report: Callable[[str], None]) -> MeasuredLayout:
    """Start a system of that layout, load it and end it.

    Raises:
        CannotServe: it does not come to be what the layout says.
        WrkFailed: the load generator gave no result.
    """
    report(f"{layout.name}: starting")
    name = f"scaling-{layout.routers}-{layout.others}-{layout.nodes}"
    site = own_site(plan.folder, name, plan.arm, free_port(plan.port))
    config = serve_config(own_serve_config().read_text(), plan.arm, layout)
    contender, dashboard = own_system(site, free_port(plan.port + 1), _PROFILE, config)
    with (
        contextlib.ExitStack() as at_the_end,
        Server(contender, site, load_rows(site.models, plan.arm)) as server,
        contextlib.ExitStack() as nodes,
    ):
        if layout.nodes > 1:
            # its `ray start` writes down the address of the first node, which ends after it
            at_the_end.callback(forget_dead_address)
            report(f"{layout.name}: joining a second node")
            cores = psutil.cpu_count() or 1
            joining = second_node(server.tree.alive(), site.folder / "node.log", cores)
            server.tree.adopt(nodes.enter_context(joining))
        _wait_until_complete(dashboard, layout, plan.arm)
        run_wrk(server.target, plan.connections, _WARM_UP_S, site.folder / "warm-up.lua")
        loads: list[Load] = []
        before = server.tree.cpu_times()
        for number in range(plan.rounds):
            report(f"{layout.name}: round {number + 1} of {plan.rounds}")
            loads.append(run_wrk(server.target, plan.connections, plan.duration_s, site.folder / "load.lua"))
        spent = _spent_by_part(before, server.tree.cpu_times())
    return MeasuredLayout(
        layout=layout,
        rate=median(load.rate for load in loads),
        p50_ms=median(load.p50_ms for load in loads),
        p99_ms=median(load.p99_ms for load in loads),
        errors=sum(load.errors for load in loads),
        cpu_s_per_1000=per_1000(spent, sum(load.answered for load in loads)),
    )


def _wait_until_complete(dashboard: Dashboard, layout: Layout, arm: str) -> None:
    deadline_s = time.monotonic() + _COMPLETE_S
    running: dict[str, list[str]] = {}
    while not is_complete(layout, arm, running):
        if time.monotonic() > deadline_s:
            raise CannotServe(f"{layout.name}: after {_COMPLETE_S:g} s there is {running}")
        time.sleep(_POLL_S)
        with contextlib.suppress(httpx.HTTPError):
            replicas = dashboard.replicas()
            running = {name: [one.node for one in those if one.runs] for name, those in replicas.items()}


def _spent_by_part(before: CpuTimes, after: CpuTimes) -> dict[str, float]:
    spent = []
    for process, spent_s in after.items():
        with contextlib.suppress(psutil.Error):
            command = " ".join(process.cmdline())
            spent.append((command, spent_s - before.get(process, 0.0)))
    return by_part(spent)
