"""The collector of all metrics of the system, from the router replicas and from the store."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime

from pydantic import ValidationError

from deployments.domain.errors import Unavailable
from deployments.store.metrics_snapshot import WorkloadSnapshot
from deployments.telemetry.metrics.exposition import Part, render
from deployments.telemetry.metrics.samples import ReplicaSamples, Samples
from deployments.telemetry.metrics.store_metrics import store_samples

log = logging.getLogger(__name__)

# Every page is a call to each router replica, past the limits of its queue.
CACHE_S = 1.0
# A store that is unavailable shall not delay the rest of the page.
READ_TIMEOUT_S = 2.0


class MetricsCollector:
    """A collector of the samples of all workloads; it belongs to one event loop.

    Args:
        workloads: their names.
        read_replicas: reads the samples of the router replicas of a workload that answer. Never raises.
        read_store: reads the snapshot of a workload; called in a thread.
        version: of raysonde.
        now: UTC time.
        clock: monotonic seconds; a page is cached for `CACHE_S` of them.
    """

    def __init__(
        self,
        workloads: Sequence[str],
        read_replicas: Callable[[str], Awaitable[Sequence[ReplicaSamples]]],
        read_store: Callable[[str], WorkloadSnapshot],
        version: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._workloads = tuple(workloads)
        self._read_replicas = read_replicas
        self._read_store = read_store
        self._version = version
        self._now = now
        self._clock = clock
        self._cached: tuple[float, bytes] | None = None
        self._reading: asyncio.Task[list[WorkloadSnapshot]] | None = None
        self._one_at_a_time = asyncio.Lock()

    async def exposition(self) -> bytes:
        """Return the page in Prometheus' text format, as it was up to `CACHE_S` ago."""
        async with self._one_at_a_time:
            if self._cached is None or self._clock() - self._cached[0] >= CACHE_S:
                text = await self._collect()
                self._cached = (self._clock(), text)
            return self._cached[1]

    async def _collect(self) -> bytes:
        answers, snapshots = await asyncio.gather(
            asyncio.gather(*map(self._read_replicas, self._workloads)), self._read_snapshots_in_time()
        )
        replicas_by_workload = dict(zip(self._workloads, answers, strict=True))
        return await asyncio.to_thread(self._render, replicas_by_workload, snapshots)

    async def _read_snapshots_in_time(self) -> Sequence[WorkloadSnapshot]:
        """Return the snapshots, none if the store takes too long. One thread at most waits for it."""
        if self._reading is None:
            self._reading = asyncio.create_task(asyncio.to_thread(self._read_snapshots))
        done, _ = await asyncio.wait({self._reading}, timeout=READ_TIMEOUT_S)
        if not done:
            log.warning("the store does not answer within %g s; its metrics are left out", READ_TIMEOUT_S)
            return ()
        snapshots, self._reading = self._reading.result(), None
        return snapshots

    def _read_snapshots(self) -> list[WorkloadSnapshot]:
        """Return the snapshots of the workloads that can be read now."""
        found = []
        for workload in self._workloads:
            try:
                found.append(self._read_store(workload))
            except (Unavailable, OSError) as error:
                log.warning("the store is not readable: %s", error, extra={"workload": workload})
        return found

    def _render(
        self,
        replicas_by_workload: Mapping[str, Sequence[ReplicaSamples]],
        snapshots: Sequence[WorkloadSnapshot],
    ) -> bytes:
        system = Samples()
        system.put("raysonde_build_info", 1.0, self._version)
        parts = [Part((), system)]
        for workload, replicas in replicas_by_workload.items():
            parts += [Part((workload, one.replica), one.samples) for one in replicas]
            parts.append(Part((workload,), _ready(replicas)))
        parts += [Part((one.workload,), self._store_samples(one)) for one in snapshots]
        return render(parts)

    def _store_samples(self, snapshot: WorkloadSnapshot) -> Samples:
        try:
            return store_samples(snapshot, self._now())
        except ValidationError as error:
            # of a Monitor of another version; the present one writes its own in a few seconds
            log.warning("the Monitor's page is not valid: %s", error, extra={"workload": snapshot.workload})
            return Samples()


def _ready(replicas: Sequence[ReplicaSamples]) -> Samples:
    """Return whether each replica has an answer of each arm: a request may go to any replica."""
    states = [state for one in replicas for state in one.samples.values("raysonde_arm_ready").values()]
    samples = Samples()
    samples.put("raysonde_workload_ready", float(bool(states) and all(state == 1.0 for state in states)))
    return samples
