"""From validated instances to answers: choose an arm, try it within its deadline, fall back, journal.

This is the heart of the Router without Ray: the arms are behind one function, `Downstream`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from deployments.domain.downstream import DownstreamError
from deployments.domain.errors import NoArmAvailable, Overloaded
from deployments.domain.instances import Instance
from deployments.domain.outcomes import Answered, Unsaid
from deployments.domain.predictions import Prediction, Said
from deployments.domain.routing import ArmVersion, Choices, Decision, RoutingTable
from deployments.inference.cache import AnswerCache
from deployments.inference.coverage_levels import CoverageLevels
from deployments.requests.parser import stack
from deployments.runtime.batching import Coalescer
from deployments.runtime.circuit_breaker import CircuitBreaker
from training.runtime.tasks.base import Row

log = logging.getLogger(__name__)
T = TypeVar("T")

BATCH_ROWS = 1000  # of a batch, predicted together
TURN_ROWS = 250  # of them, after which other requests have their turn: a millisecond or two
# Of its deadline a request may wait so much for its turn, while others are answered, before it is refused.
_PATIENCE = 0.5


@dataclass(frozen=True)
class _Asked:
    """What an arm said about one instance; `cached` as in `Answered`."""

    said: Said
    cached: bool | None


class Dispatcher:
    """Answers instances by the routing table that it was last given.

    Args:
        workload: name, part of the routing hash.
        downstream: the scaler and the arms, and the ensembles over them.
        journal: takes the answers; never blocks or raises.
        clock: monotonic seconds, for the breakers and latencies.
        levels: at which the downstream has regions made; kept answers of other levels are not used.
        coalescer: makes what merges concurrent requests.

    Attributes:
        table: in use; None before the first.
        cache: of answers to single instances. Those of a batch would push out what is asked for again and
            again, and those of an ensemble are as old as its shares, which move with each truth: neither
            is looked for or kept.
        failures: attempts at an arm that failed or ran out of time, by arm.
    """

    def __init__(
        self,
        workload: str,
        downstream: Callable[[str, ArmVersion, NDArray[np.float64]], Awaitable[Sequence[Said]]],
        journal: Callable[[Sequence[Answered]], None],
        clock: Callable[[], float] = time.monotonic,
        levels: CoverageLevels | None = None,
        coalescer: type[Coalescer[Any, Any, Any]] | Callable[..., Coalescer[Any, Any, Any]] = Coalescer,
    ) -> None:
        self.table: RoutingTable | None = None
        self.cache = AnswerCache()
        self.failures: Counter[str] = Counter()
        self._workload = workload
        self._downstream = downstream
        self._journal = journal
        self._clock = clock
        self._levels = levels or CoverageLevels()
        self._breakers: dict[str, CircuitBreaker] = {}
        self._coalescer: Coalescer[tuple[str, ArmVersion], NDArray[np.float64], Said] = coalescer(
            self._call_rows, clock=clock
        )

    def use(self, table: RoutingTable) -> None:
        """Route by this table from the next request on; requests under way end on the one they began with."""
        old = self.table
        self.table = table
        self.cache.use(table.policy.cache, {version.bundle for version in table.arms.values()})
        if old is None or old.policy.breaker != table.policy.breaker:
            self._breakers = {}

    def breaker(self, arm: str) -> CircuitBreaker:
        """The breaker of an arm in this replica."""
        breaker = self._breakers.get(arm)
        if breaker is None:
            assert self.table is not None
            breaker = self._breakers[arm] = CircuitBreaker(self.table.policy.breaker, self._clock)
        return breaker

    def is_busy(self, arm: str) -> bool:
        """Whether requests wait for their turn to be asked of the arm."""
        version = self.table.arms.get(arm) if self.table else None
        return version is not None and self._coalescer.waiting((arm, version)) > 0

    def waiting(self) -> Counter[str]:
        """Rows that wait to be sent, by arm."""
        rows: Counter[str] = Counter()
        for (arm, _), waiting in self._coalescer.all_waiting().items():
            rows[arm] += waiting
        return rows

    async def predict(self, instance: Instance, requested_arm: str | None = None) -> Prediction:
        """Answer one instance; concurrent ones share downstream calls.

        Raises:
            FieldError: the requested arm is not there.
            Overloaded: more requests come than the arm can answer in time.
            Unavailable: no arm answered.
        """
        table = self._table()
        began_s = self._clock()
        decision = self._choices(table, requested_arm).of(instance.entity, instance.id)
        arm, asked = await self._attempt(
            table,
            decision,
            lambda arm: self._ask_one(table, arm, instance.raw),
            lambda arm: self._known(arm, table.versions[arm], instance.raw),
            instance.id,
        )
        said = Unsaid(instance, decision, arm, asked.said, asked.cached)
        return self._answers(table, [said], self._clock() - began_s)[0]

    async def predict_batch(
        self, instances: Iterable[Instance], requested_arm: str | None = None
    ) -> AsyncGenerator[list[Prediction]]:
        """Answer many instances, at least one, in order and some at a time; each is routed by itself.

        All go by one table. They are taken and asked for in parts of `BATCH_ROWS`, the next while one is
        used. An answer is journalled when it is handed out. Between any two of the lists other requests have
        their turns.

        Raises:
            FieldError: the requested arm is not there.
            Unavailable: an arm and all its fallbacks failed.
        """
        table = self._table()
        began_s = self._clock()
        ahead: deque[asyncio.Task[list[Unsaid]]] = deque()
        try:
            rest = iter(instances)
            while part := list(islice(rest, BATCH_ROWS)):
                ahead.append(asyncio.create_task(self._ask_part(table, part, requested_arm)))
                if len(ahead) > 1:
                    async for answers in self._answers_in_turns(table, await ahead.popleft(), began_s):
                        yield answers
            async for answers in self._answers_in_turns(table, await ahead.popleft(), began_s):
                yield answers
        finally:
            for task in ahead:
                task.cancel()
            await asyncio.gather(*ahead, return_exceptions=True)

    def _table(self) -> RoutingTable:
        if self.table is None:
            raise NoArmAvailable(f"{self._workload}: no model is loaded yet", retry_after_s=2.0)
        return self.table

    def _choices(self, table: RoutingTable, requested_arm: str | None) -> Choices:
        return Choices(
            table.policy,
            workload=self._workload,
            available_arms=table.versions,
            requested_arm=requested_arm,
            is_open=lambda arm: self.breaker(arm).is_open,
        )

    async def _ask_part(
        self, table: RoutingTable, instances: Sequence[Instance], requested_arm: str | None
    ) -> list[Unsaid]:
        """A part of a batch: one call for all instances that try the same arms."""
        choices = self._choices(table, requested_arm)
        groups: dict[Decision, list[int]] = {}
        for index, instance in enumerate(instances):
            groups.setdefault(choices.of(instance.entity, instance.id), []).append(index)
            if index % TURN_ROWS == TURN_ROWS - 1:
                await asyncio.sleep(0)
        answers = await asyncio.gather(
            *(
                self._attempt_chunk(table, decision, [instances[i] for i in indices])
                for decision, indices in groups.items()
            )
        )
        said: dict[int, Unsaid] = {}
        for (decision, indices), (arm, rows) in zip(groups.items(), answers, strict=True):
            for index, row in zip(indices, rows, strict=True):
                said[index] = Unsaid(instances[index], decision, arm, row)
        return [said[index] for index in range(len(instances))]

    async def _attempt(
        self,
        table: RoutingTable,
        decision: Decision,
        call: Callable[[str], Awaitable[T]],
        known: Callable[[str], T | None] = lambda arm: None,
        request_id: str | None = None,
    ) -> tuple[str, T]:
        """Try the arms of the decision in order: the first that answers within its deadline, and what.

        What is known of an arm needs no call, and tells its breaker nothing.
        """
        reasons = []
        for arm in decision.attempts:
            if (found := known(arm)) is not None:
                return arm, found
            breaker = self.breaker(arm)
            breaker.begin()
            try:
                async with asyncio.timeout(table.policy.deadline_of(arm)):
                    answer = await call(arm)
            except Overloaded:
                breaker.abandon()
                raise  # the other arms are for failures; load would only move on to them
            except (DownstreamError, TimeoutError) as error:
                breaker.fail()
                self.failures[arm] += 1
                reasons.append(f"{arm}: {str(error) or 'out of time'}")
                told = {"request_id": request_id, "workload": self._workload, "arm": arm}
                log.warning("arm failed", extra={**told, "reason": reasons[-1]})
            except BaseException:
                breaker.abandon()
                raise
            else:
                breaker.succeed()
                return arm, answer
        raise NoArmAvailable(f"{self._workload}: no arm answered ({'; '.join(reasons)})")

    async def _attempt_chunk(
        self, table: RoutingTable, decision: Decision, instances: list[Instance]
    ) -> tuple[str, Sequence[Said]]:
        raw = stack(instances)
        return await self._attempt(
            table, decision, lambda arm: self._downstream(arm, table.versions[arm], raw)
        )

    def _known(self, arm: str, version: ArmVersion, raw: NDArray[np.float64]) -> _Asked | None:
        row = self.cache.find(arm, version.bundle, raw, self._levels.of(arm, version.bundle))
        return None if row is None else _Asked(row, cached=True)

    async def _ask_one(self, table: RoutingTable, arm: str, raw: NDArray[np.float64]) -> _Asked:
        version, patience_s = table.versions[arm], _PATIENCE * table.policy.deadline_of(arm)
        is_kept = self.cache.covers(version.bundle)
        said = await self._coalescer.submit((arm, version), raw, patience_s)
        if is_kept and isinstance(said, Row):
            self.cache.keep(version.bundle, raw, said)
        return _Asked(said, cached=False if is_kept else None)

    async def _call_rows(
        self, key: tuple[str, ArmVersion], rows: list[NDArray[np.float64]]
    ) -> Sequence[Said]:
        arm, version = key
        return await self._downstream(arm, version, np.stack(rows))

    async def _answers_in_turns(
        self, table: RoutingTable, said: Sequence[Unsaid], began_s: float
    ) -> AsyncGenerator[list[Prediction]]:
        latency_s = self._clock() - began_s
        for begin in range(0, len(said), TURN_ROWS):
            yield self._answers(table, said[begin : begin + TURN_ROWS], latency_s)
            await asyncio.sleep(0)

    def _answers(self, table: RoutingTable, said: Sequence[Unsaid], latency_s: float) -> list[Prediction]:
        answered = [one.answered(table, latency_s) for one in said]
        self._journal(answered)
        return [one.prediction for one in answered]
