"""The benchmark itself: each contender with each arm, one after another started, loaded and ended."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.benchmarks.bench.contender import Contender, Site
from scripts.benchmarks.bench.measure import ContenderFailed, Measured, Round, medians
from scripts.benchmarks.bench.models import BenchmarkRows, load_rows, revision
from scripts.benchmarks.bench.server import CannotServe, Server
from scripts.benchmarks.bench.usage import cpu_spent_s
from scripts.benchmarks.bench.wrk import WrkFailed, run_wrk
from scripts.launcher.preflight import free_port

# away from 8000, where a system of the user's may run
_PORT = 8310
_WARM_UP_S = 3
# of load before the first round: until what it sets off is done, replicas started and a first report drawn
_SETTLE_S, _SETTLE_CONNECTIONS = 20, 64


@dataclass(frozen=True)
class Plan:
    """The plan of a measurement.

    Attributes:
        connections: numbers of connections, each measured `rounds` times for `duration_s` in each start.
        folder: models, and what the contenders write.
        others: folder of the programs of the contenders' environment.
        starts: of each contender with each arm, in turn with the others.
    """

    contenders: Sequence[Contender]
    arms: Sequence[str]
    connections: Sequence[int]
    rounds: int
    duration_s: int
    folder: Path
    others: Path
    starts: int = 1

    @property
    def models(self) -> Path:
        """Return the folder of the models; see `scripts.benchmarks.bench.models`."""
        return self.folder / f"models-{revision()}"

    @property
    def steps(self) -> int:
        """Rounds of load in all."""
        return self.starts * len(self.contenders) * len(self.arms) * self.steps_of_a_start

    @property
    def steps_of_a_start(self) -> int:
        """Rounds of load between a start and its stop."""
        return len(self.connections) * self.rounds


@dataclass
class Results:
    """The measurements so far, in order."""

    measured: list[Measured] = field(default_factory=list)
    failed: list[ContenderFailed] = field(default_factory=list)


# by the number of connections
_Rounds = dict[int, list[Round]]
# show(what is being done, rounds of load that are done)
Show = Callable[[str, int], None]


def run(plan: Plan, show: Show) -> Results:
    """Measure all; a contender that fails is noted, and the next one has its turn."""
    results = Results()
    done = 0
    for arm in plan.arms:
        found: dict[str, _Rounds] = {contender.name: {} for contender in plan.contenders}
        for start in range(plan.starts):
            for contender in plan.contenders:
                if contender.name in found:
                    try:
                        _measure(plan, contender, arm, start, found[contender.name], done, show)
                    except (CannotServe, WrkFailed) as error:
                        results.failed.append(ContenderFailed(contender.name, arm, str(error)))
                        del found[contender.name]
                done += plan.steps_of_a_start
        results.measured += [
            medians(name, arm, connections, rounds)
            for name, of_it in found.items()
            for connections, rounds in of_it.items()
        ]
    return results


def _measure(
    plan: Plan, contender: Contender, arm: str, start: int, found: _Rounds, done: int, show: Show
) -> None:
    """Measure one start, and add its rounds to those found before."""
    what = f"{contender.name}, {arm}"
    show(f"{what}: starting", done)
    site = _site(plan, contender, arm, start)
    rows: BenchmarkRows = load_rows(plan.models, arm)
    with Server(contender, site, rows) as server:
        show(f"{what}: settling", done)
        settle_s = min(_SETTLE_S, 5 * plan.duration_s)
        run_wrk(server.target, _SETTLE_CONNECTIONS, settle_s, site.folder / "warm-up.lua")
        for connections in plan.connections:
            show(f"{what}: {connections} connections", done)
            run_wrk(server.target, connections, min(_WARM_UP_S, plan.duration_s), site.folder / "warm-up.lua")
            for _ in range(plan.rounds):
                load = one_round(server, connections, plan.duration_s, site.folder / "load.lua")
                found.setdefault(connections, []).append(load)
                done += 1
                show(f"{what}: {connections} connections", done)
        show(f"{what}: stopping", done)


def one_round(server: Server, connections: int, duration_s: int, script: Path) -> Round:
    """Play a round of load, and measure what it takes of the machine."""
    before = server.tree.cpu_times()
    load = run_wrk(server.target, connections, duration_s, script)
    spent_s = cpu_spent_s(before, server.tree.cpu_times())
    return Round(load, spent_s, server.tree.memory_bytes())


def _site(plan: Plan, contender: Contender, arm: str, start: int) -> Site:
    # a folder of its own for each start: MLflow keeps the file of a registry open that was there before
    folder = plan.folder / "runs" / f"{contender.name}-{arm}-{start + 1}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return Site(arm, plan.models, folder, free_port(_PORT), Path(sys.executable), plan.others)
