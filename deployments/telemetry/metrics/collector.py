"""The metrics of the whole system as one text: router replicas are asked, the rest is read off the store."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime

from pydantic import ValidationError

from deployments.domain.errors import Unavailable
from deployments.store.metrics_snapshot import WorkloadSnapshot
from deployments.telemetry.metrics import store_metrics as stored
from deployments.telemetry.metrics.exposition import Part, render
from deployments.telemetry.metrics.samples import ReplicaSamples, Samples

log = logging.getLogger(__name__)

# Every page is a call to each router replica, past the limits of its queue.
KEPT_S = 1.0
# A store that is away shall not take the rest of the page along.
READ_TIMEOUT_S = 2.0


class MetricsCollector:
    """Belongs to one event loop.

    Args:
        workloads: their names.
        ask: the router replicas of a workload; what those told that answer. Never raises.
        read: what the store holds of a workload; called in a thread.
        version: of raysonde.
        now: UTC time.
        clock: monotonic seconds; a page is kept for `KEPT_S` of them.
    """

    def __init__(
        self,
        workloads: Sequence[str],
        ask: Callable[[str], Awaitable[Sequence[ReplicaSamples]]],
        read: Callable[[str], WorkloadSnapshot],
        version: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._workloads = tuple(workloads)
        self._ask = ask
        self._read = read
        self._version = version
        self._now = now
        self._clock = clock
        self._kept: tuple[float, bytes] | None = None
        self._reading: asyncio.Task[list[WorkloadSnapshot]] | None = None
        self._one_at_a_time = asyncio.Lock()

    async def text(self) -> bytes:
        """The page; as it was up to `KEPT_S` ago."""
        async with self._one_at_a_time:
            if self._kept is None or self._clock() - self._kept[0] >= KEPT_S:
                text = await self._made()
                self._kept = (self._clock(), text)
            return self._kept[1]

    async def _made(self) -> bytes:
        answers, facts = await asyncio.gather(
            asyncio.gather(*map(self._ask, self._workloads)), self._read_all()
        )
        told = dict(zip(self._workloads, answers, strict=True))
        return await asyncio.to_thread(self._render, told, facts)

    async def _read_all(self) -> Sequence[WorkloadSnapshot]:
        """What the store tells in time. One thread at most waits for it."""
        if self._reading is None:
            self._reading = asyncio.create_task(asyncio.to_thread(self._facts))
        done, _ = await asyncio.wait({self._reading}, timeout=READ_TIMEOUT_S)
        if not done:
            log.warning("store not read within %g s", READ_TIMEOUT_S)
            return ()
        facts, self._reading = self._reading.result(), None
        return facts

    def _facts(self) -> list[WorkloadSnapshot]:
        """Of those workloads that the store tells of now."""
        found = []
        for workload in self._workloads:
            try:
                found.append(self._read(workload))
            except (Unavailable, OSError) as error:
                log.warning("store not read: %s", error, extra={"workload": workload})
        return found

    def _render(
        self, told: Mapping[str, Sequence[ReplicaSamples]], facts: Sequence[WorkloadSnapshot]
    ) -> bytes:
        system = Samples()
        system.put("raysonde_build_info", 1.0, self._version)
        parts = [Part((), system)]
        for workload, replicas in told.items():
            parts += [Part((workload, one.replica), one.readings) for one in replicas]
            parts.append(Part((workload,), _ready(replicas)))
        parts += [Part((one.workload,), self._stored(one)) for one in facts]
        return render(parts)

    def _stored(self, facts: WorkloadSnapshot) -> Samples:
        try:
            return stored.store_samples(facts, self._now())
        except ValidationError as error:
            # of a Monitor of another version; the present one writes its own in a few seconds
            log.warning("page not understood: %s", error, extra={"workload": facts.workload})
            return Samples()


def _ready(replicas: Sequence[ReplicaSamples]) -> Samples:
    """A request may go to any replica, so each of them has to have the answer of each arm."""
    states = [state for one in replicas for state in one.readings.of("raysonde_arm_ready").values()]
    readings = Samples()
    readings.put("raysonde_workload_ready", float(bool(states) and all(state == 1.0 for state in states)))
    return readings
