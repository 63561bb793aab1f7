"""From validated instances to answers: choose an arm, try it within its deadline, fall back, journal.

This is the heart of the Router without Ray: the arms are behind one function, `Downstream`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from deployments.answer_cache import AnswerCache
from deployments.answers import Blended, Prediction, Said
from deployments.breaker import CircuitBreaker
from deployments.coalescer import Coalescer
from deployments.errors import NoArmAvailable, Overloaded
from deployments.instances import Instance, stack
from deployments.routing import ArmVersion, Decision, RoutingTable, choose
from training.tasks.base import Row

log = logging.getLogger(__name__)
T = TypeVar("T")

BATCH_ROWS = 1000  # rows of one downstream call of a batch request
# Of its deadline a request may wait so much for its turn, while others are answered, before it is refused.
_PATIENCE = 0.5


class DownstreamError(RuntimeError):
    """An arm or the scaler did not answer a call."""


class Downstream(Protocol):
    """Scaler and arm: raw instances in, one row an instance out, of exactly this version."""

    async def __call__(self, arm: str, version: ArmVersion, raw: NDArray[np.float64]) -> Sequence[Row]:
        """Answer (n, *raw_shape) with n rows.

        Raises:
            DownstreamError: no answer.
        """
        ...


@dataclass(frozen=True)
class Answered:
    """A prediction with what the journal keeps beside it.

    Attributes:
        instance: what was asked.
        prediction: what was answered.
        decision: which arms were to be tried.
        latency_s: of the answer; of the whole batch for each of its instances.
        cached: whether the answer was found in the cache; None where none was looked for.
    """

    instance: Instance
    prediction: Prediction
    decision: Decision
    latency_s: float
    cached: bool | None = None


@dataclass(frozen=True)
class _Asked:
    """What an arm said about one instance; `cached` as in `Answered`."""

    said: Said
    cached: bool | None


class Predictor:
    """Answers instances by the routing table that it was last given.

    Args:
        workload: name, part of the routing hash.
        downstream: the scaler and the arms, and the ensembles over them.
        journal: takes each answer; never blocks or raises.
        clock: monotonic seconds, for the breakers and latencies.

    Attributes:
        table: in use; None before the first.
        cache: of answers to single instances. Those of a batch would push out what is asked for again and
            again, and those of an ensemble are as old as its shares, which move with each truth: neither
            is looked for or kept.
    """

    def __init__(
        self,
        workload: str,
        downstream: Callable[[str, ArmVersion, NDArray[np.float64]], Awaitable[Sequence[Said]]],
        journal: Callable[[Answered], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.table: RoutingTable | None = None
        self.cache = AnswerCache()
        self._workload = workload
        self._downstream = downstream
        self._journal = journal
        self._clock = clock
        self._breakers: dict[str, CircuitBreaker] = {}
        self._coalescer: Coalescer[tuple[str, ArmVersion], NDArray[np.float64], Said] = Coalescer(
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

    async def predict(self, instance: Instance, requested_arm: str | None = None) -> Prediction:
        """Answer one instance; concurrent ones share downstream calls.

        Raises:
            FieldError: the requested arm is not there.
            Overloaded: more requests come than the arm can answer in time.
            Unavailable: no arm answered.
        """
        table = self._table()
        began_s = self._clock()
        decision = self._decide(table, instance, requested_arm)
        arm, asked = await self._attempt(
            table,
            decision,
            lambda arm: self._ask(table, arm, instance.raw),
            lambda arm: self._known(arm, table.versions[arm], instance.raw),
        )
        latency_s = self._clock() - began_s
        return self._answer(table, instance, decision, arm, asked.said, latency_s, asked.cached)

    async def predict_batch(
        self, instances: Sequence[Instance], requested_arm: str | None = None
    ) -> list[Prediction]:
        """Answer many instances in order; each is routed by itself, all by one table.

        Raises:
            FieldError: the requested arm is not there.
            Unavailable: an arm and all its fallbacks failed; nothing of the batch is journalled then.
        """
        table = self._table()
        began_s = self._clock()
        decisions = [self._decide(table, instance, requested_arm) for instance in instances]
        groups: dict[tuple[str, ...], list[int]] = {}
        for index, decision in enumerate(decisions):
            groups.setdefault(decision.attempts, []).append(index)
        chunks = [
            rows[i : i + BATCH_ROWS] for rows in groups.values() for i in range(0, len(rows), BATCH_ROWS)
        ]
        answers = await asyncio.gather(
            *(
                self._attempt_chunk(table, decisions[chunk[0]], [instances[i] for i in chunk])
                for chunk in chunks
            )
        )
        latency_s = self._clock() - began_s
        answered: dict[int, Prediction] = {}
        for chunk, (arm, rows) in zip(chunks, answers, strict=True):
            for index, row in zip(chunk, rows, strict=True):
                answered[index] = self._answer(table, instances[index], decisions[index], arm, row, latency_s)
        return [answered[index] for index in range(len(instances))]

    def _table(self) -> RoutingTable:
        if self.table is None:
            raise NoArmAvailable(f"{self._workload}: no model is loaded yet", retry_after_s=2.0)
        return self.table

    def _decide(self, table: RoutingTable, instance: Instance, requested_arm: str | None) -> Decision:
        return choose(
            table.policy,
            workload=self._workload,
            available_arms=table.versions,
            entity=instance.entity,
            request_key=instance.id,
            requested_arm=requested_arm,
            is_open=lambda arm: self.breaker(arm).is_open,
        )

    async def _attempt(
        self,
        table: RoutingTable,
        decision: Decision,
        call: Callable[[str], Awaitable[T]],
        known: Callable[[str], T | None] = lambda arm: None,
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
                reasons.append(f"{arm}: {str(error) or 'out of time'}")
                log.warning(
                    "arm failed", extra={"workload": self._workload, "arm": arm, "reason": reasons[-1]}
                )
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
        row = self.cache.find(arm, version.bundle, raw)
        return None if row is None else _Asked(row, cached=True)

    async def _ask(self, table: RoutingTable, arm: str, raw: NDArray[np.float64]) -> _Asked:
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

    def _answer(
        self,
        table: RoutingTable,
        instance: Instance,
        decision: Decision,
        arm: str,
        said: Said,
        latency_s: float,
        cached: bool | None = None,
    ) -> Prediction:
        row, members = said if isinstance(said, Blended) else (said, None)
        version, is_fallback = table.versions[arm], arm != decision.arm
        prediction = Prediction(instance.sent_id, row, arm, version, is_fallback, members)
        self._journal(Answered(instance, prediction, decision, latency_s, cached))
        return prediction
