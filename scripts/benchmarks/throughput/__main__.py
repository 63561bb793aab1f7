"""`python -m scripts.benchmarks.throughput`, which `make bench-throughput` calls: batches and windows.

Beside `make bench`, which compares one-row requests. It asks a system that runs: how many rows a minute one
client gets out of `POST /batch_predict`, how long a single request takes meanwhile, and how many windows are
answered a second.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from itertools import cycle
from typing import Annotated
from urllib.parse import urlsplit

import orjson
import typer
from rich.console import Console

from deployments.requests.schema import MAX_INSTANCES
from features.config import load_contract
from scripts.benchmarks.bench.wrk import Load, Target, WrkFailed, WrkMissing, run_wrk
from scripts.benchmarks.throughput.answers import auth_headers, request_bodies, window_instances
from scripts.host.failure import exit_on
from scripts.replay.client import Connection
from scripts.replay.text_tables import TextTable
from training.runtime.settings import Settings

_WINDOW_CONNECTIONS = 64
_TIMEOUT_S = 60.0
# of the few batches the worst stands for the 99th percentile
_HEADER = ("what", "per s", "per min", "p50 ms", "p99 ms", "errors")


@dataclass(frozen=True)
class Batches:
    """Measurements of one client, batch by batch, each sent when the one before it was answered.

    Attributes:
        rows: of a batch.
        whole_s: until its last byte.
        first_s: until its first byte.
    """

    rows: int
    whole_s: Sequence[float]
    first_s: Sequence[float]

    @property
    def rate(self) -> float:
        """Rows per second."""
        return self.rows * len(self.whole_s) / sum(self.whole_s)


def throughput(
    url: Annotated[str, typer.Option(help="Of the system; RAYSONDE_URL, or this machine, if empty.")] = "",
    table: Annotated[str, typer.Option(help="Workload of which rows are sent in batches.")] = "calories",
    windows: Annotated[str, typer.Option(help="Workload of which windows are sent one by one.")] = "apogee",
    rows: Annotated[int, typer.Option(min=1, max=MAX_INSTANCES, help="Of a batch.")] = MAX_INSTANCES,
    duration_s: Annotated[int, typer.Option(min=1, help="Of each measurement.")] = 20,
) -> None:
    """Measure a running system: batches of one client, one-row requests beside them, windows."""
    console = Console()
    settings = Settings.from_environment()
    place = Connection.find(settings, url or None)
    script = settings.var / "bench" / "throughput.lua"
    script.parent.mkdir(parents=True, exist_ok=True)
    with exit_on(console, "cannot measure", WrkMissing, WrkFailed, OSError, HTTPException, ValueError):
        row, window = (load_contract(settings.workloads, name) for name in (table, windows))
        batches = request_bodies(row.example, rows)
        single = _target(place, table, [row.example])
        # before the batches: their rows keep the Monitor busy for minutes
        windowed = _target(place, windows, window_instances(window))
        many = run_wrk(windowed, _WINDOW_CONNECTIONS, duration_s, script)
        alone = run_wrk(single, 1, duration_s, script)
        with ThreadPoolExecutor(1) as other:
            beside = other.submit(run_batches, place, table, rows, batches, duration_s)
            crowded = run_wrk(single, 1, duration_s, script)
            beside.result()
        measured = run_batches(place, table, rows, batches, duration_s)
    lines = (
        _batch_cells(f"{table}: rows in batches of {rows:,}, one client", measured),
        _cells(f"{table}: one row, 1 connection", alone),
        _cells(f"{table}: the same beside batches", crowded),
        _cells(f"{windows}: windows, {_WINDOW_CONNECTIONS} connections", many),
    )
    note = f"The first answers of a batch come after {1e3 * statistics.median(measured.first_s):,.0f} ms."
    page = TextTable("Throughput", _HEADER, lines, note).markdown(level=2)
    console.print(page, highlight=False, soft_wrap=True)


def run_batches(
    place: Connection, workload: str, rows: int, bodies: Sequence[bytes], duration_s: float
) -> Batches:
    """Send batches over one connection.

    Raises:
        HTTPException: an answer is no success, or is cut short.
    """
    address = urlsplit(place.url)
    whole_s: list[float] = []
    first_s: list[float] = []
    turns = cycle(bodies)
    ends_s = time.perf_counter() + duration_s
    host = address.hostname or "127.0.0.1"
    with closing(HTTPConnection(host, address.port, timeout=_TIMEOUT_S)) as connection:
        while (sent_s := time.perf_counter()) < ends_s:
            connection.request("POST", f"/{workload}/batch_predict", next(turns), auth_headers(place))
            answer = connection.getresponse()
            text = answer.read(1)
            first_s.append(time.perf_counter() - sent_s)
            text += answer.read()
            whole_s.append(time.perf_counter() - sent_s)
            if answer.status != 200 or not text.endswith(b"]}"):
                raise HTTPException(f"{workload}: status {answer.status}, {text[:200]!r}")
    return Batches(rows, whole_s, first_s)


def _target(place: Connection, workload: str, instances: Sequence[dict[str, object]]) -> Target:
    port = urlsplit(place.url).port or 80
    bodies = [orjson.dumps(instance).decode() for instance in instances]
    return Target(port, f"/{workload}/predict", auth_headers(place), bodies)


def _batch_cells(what: str, batches: Batches) -> tuple[str, ...]:
    p50_ms = 1e3 * statistics.median(batches.whole_s)
    worst_ms = 1e3 * max(batches.whole_s)
    return (
        what,
        f"{batches.rate:,.0f}",
        f"{60 * batches.rate:,.0f}",
        f"{p50_ms:,.0f}",
        f"{worst_ms:,.0f}",
        "0",
    )


def _cells(what: str, load: Load) -> tuple[str, ...]:
    rates = (f"{load.rate:,.0f}", f"{60 * load.rate:,.0f}")
    return (what, *rates, f"{load.p50_ms:.1f}", f"{load.p99_ms:.1f}", str(load.errors))


if __name__ == "__main__":
    typer.run(throughput)
