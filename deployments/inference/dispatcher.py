"""The dispatch of validated instances: choose an arm, try it within its deadline, fall back, record.

This is the heart of the Router without Ray: the arms are behind one function, `ArmCall`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from deployments.domain.downstream import ArmCall, DownstreamError
from deployments.domain.errors import NoArmAvailable, Overloaded
from deployments.domain.instances import Instance
from deployments.domain.predictions import Prediction
from deployments.domain.routing import Choices, Decision, RoutingTable
from deployments.inference.arm_queue import ArmQueue
from deployments.inference.cache import AnswerCache
from deployments.inference.coverage_levels import CoverageLevels
from deployments.requests.parser import stack_raw
from deployments.runtime.circuit_breaker import CircuitBreaker
from training.runtime.tasks.base import ArmAnswer

log = logging.getLogger(__name__)
FloatArray = NDArray[np.float64]
T = TypeVar("T")

# of its deadline, what a request may wait in the queue while others are answered, before it is refused
_QUEUE_SHARE_OF_DEADLINE = 0.5


@dataclass(frozen=True)
class BatchPacing:
    """Sizes of the steps of a batch.

    Attributes:
        part_rows: instances that are predicted together.
        turn_rows: predictions handed out in a row, after which other requests have their turn: a millisecond
            or two.
        turn_s: seconds of the event loop for reading instances, after which other requests have their turn.
    """

    part_rows: int = 1000
    turn_rows: int = 250
    turn_s: float = 0.002


class Dispatcher:
    """Answers instances by the routing table that it was last given.

    Args:
        workload: name, part of the routing hash.
        call_arm: the scaler and the arms, and the ensembles over them.
        record: takes the predictions that are handed out, and the seconds that they took, of a batch the
            same for all; never blocks or raises.
        queue: of single instances; one over `call_arm` unless given.
        levels: at which the arms make regions; kept answers of other levels are not used.
        pacing: of batches.
        clock: monotonic seconds, for the breakers and latencies.

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
        call_arm: ArmCall,
        record: Callable[[Sequence[Prediction], float], None],
        *,
        queue: ArmQueue | None = None,
        levels: CoverageLevels | None = None,
        pacing: BatchPacing | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.table: RoutingTable | None = None
        self.cache = AnswerCache()
        self.failures: Counter[str] = Counter()
        self._workload = workload
        self._call_arm = call_arm
        self._record = record
        self._queue = queue or ArmQueue(call_arm, clock=clock)
        self._levels = levels or CoverageLevels()
        self._pacing = pacing or BatchPacing()
        self._clock = clock
        self._breakers: dict[str, CircuitBreaker] = {}

    def use(self, table: RoutingTable) -> None:
        """Route by this table from the next request on; requests under way end on the one they began with."""
        old = self.table
        self.table = table
        self.cache.use(table.policy.cache, {version.bundle for version in table.arms.values()})
        if old is None or old.policy.breaker != table.policy.breaker:
            self._breakers = {}

    def breaker(self, arm: str) -> CircuitBreaker:
        """Return the breaker of an arm in this replica."""
        breaker = self._breakers.get(arm)
        if breaker is None:
            assert self.table is not None
            breaker = self._breakers[arm] = CircuitBreaker(self.table.policy.breaker, self._clock)
        return breaker

    async def predict(self, instance: Instance, requested_arm: str | None = None) -> Prediction:
        """Answer one instance; concurrent ones share calls of the arms.

        Raises:
            FieldError: the requested arm is not there.
            Overloaded: more requests come than the arm can answer in time.
            Unavailable: no arm answered.
        """
        table = self._table()
        began_s = self._clock()
        decision = self._choices(table, requested_arm).decide(instance.entity, instance.id)
        arm, answer = await self._attempt(
            table,
            decision,
            lambda arm: self._ask(table, arm, instance.raw),
            lambda arm: self._find_kept(table, arm, instance.raw),
            instance.id,
        )
        prediction = Prediction(instance, decision, arm, table.versions[arm], answer)
        self._record([prediction], self._clock() - began_s)
        return prediction

    async def predict_batch(
        self, instances: Iterable[Instance], requested_arm: str | None = None
    ) -> AsyncGenerator[list[Prediction]]:
        """Answer many instances, at least one, in order and some at a time; each is routed by itself.

        All go by one table. They are taken and predicted in parts of `BatchPacing.part_rows`, the next while
        one is used. A prediction is recorded when it is handed out. Between any two of the lists other
        requests have their turns.

        Raises:
            FieldError: the requested arm is not there.
            Unavailable: an arm and all its fallbacks failed.
        """
        table = self._table()
        began_s = self._clock()
        ahead: deque[asyncio.Task[list[Prediction]]] = deque()
        try:
            rest = iter(instances)
            while part := list(islice(rest, self._pacing.part_rows)):
                ahead.append(asyncio.create_task(self._predict_part(table, part, requested_arm)))
                if len(ahead) > 1:
                    async for predictions in self._hand_out(await ahead.popleft(), began_s):
                        yield predictions
            async for predictions in self._hand_out(await ahead.popleft(), began_s):
                yield predictions
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

    async def _predict_part(
        self, table: RoutingTable, instances: Sequence[Instance], requested_arm: str | None
    ) -> list[Prediction]:
        """Answer a part of a batch, by one call for all instances that try the same arms."""
        choices = self._choices(table, requested_arm)
        groups: dict[Decision, list[int]] = {}
        for index, instance in enumerate(instances):
            groups.setdefault(choices.decide(instance.entity, instance.id), []).append(index)
            if index % self._pacing.turn_rows == self._pacing.turn_rows - 1:
                await asyncio.sleep(0)
        answers = await asyncio.gather(
            *(
                self._attempt_group(table, decision, [instances[i] for i in indices])
                for decision, indices in groups.items()
            )
        )
        predictions: dict[int, Prediction] = {}
        for (decision, indices), (arm, group) in zip(groups.items(), answers, strict=True):
            version = table.versions[arm]
            for index, answer in zip(indices, group, strict=True):
                predictions[index] = Prediction(instances[index], decision, arm, version, answer)
        return [predictions[index] for index in range(len(instances))]

    async def _attempt(
        self,
        table: RoutingTable,
        decision: Decision,
        call: Callable[[str], Awaitable[T]],
        find_kept: Callable[[str], T | None] = lambda arm: None,
        request_id: str | None = None,
    ) -> tuple[str, T]:
        """Try the arms of the decision in order; return the first that answers in time, and its answer.

        A kept answer of an arm needs no call, and tells its breaker nothing.
        """
        reasons = []
        for arm in decision.attempts:
            if (kept := find_kept(arm)) is not None:
                return arm, kept
            breaker = self.breaker(arm)
            breaker.begin()
            try:
                async with asyncio.timeout(table.policy.arm_deadline_s(arm)):
                    answer = await call(arm)
            except Overloaded:
                breaker.abandon()
                raise  # the other arms are for failures; load would only move on to them
            except (DownstreamError, TimeoutError) as error:
                breaker.fail()
                self.failures[arm] += 1
                reasons.append(f"{arm}: {str(error) or 'out of time'}")
                labels = {"request_id": request_id, "workload": self._workload, "arm": arm}
                log.warning("arm failed", extra={**labels, "reason": reasons[-1]})
            except BaseException:
                breaker.abandon()
                raise
            else:
                breaker.succeed()
                return arm, answer
        raise NoArmAvailable(f"{self._workload}: no arm answered ({'; '.join(reasons)})")

    async def _attempt_group(
        self, table: RoutingTable, decision: Decision, instances: list[Instance]
    ) -> tuple[str, Sequence[ArmAnswer]]:
        raw = stack_raw(instances)
        return await self._attempt(table, decision, lambda arm: self._call_arm(arm, table.versions[arm], raw))

    def _find_kept(self, table: RoutingTable, arm: str, raw: FloatArray) -> ArmAnswer | None:
        bundle = table.versions[arm].bundle
        return self.cache.find(arm, bundle, raw, self._levels.level(arm, bundle))

    async def _ask(self, table: RoutingTable, arm: str, raw: FloatArray) -> ArmAnswer:
        version = table.versions[arm]
        is_kept = self.cache.covers(version.bundle)
        patience_s = _QUEUE_SHARE_OF_DEADLINE * table.policy.arm_deadline_s(arm)
        answer = await self._queue.ask(arm, version, raw, patience_s)
        if not is_kept:
            return answer
        self.cache.keep(version.bundle, raw, answer)
        return answer._replace(cached=False)

    async def _hand_out(
        self, predictions: Sequence[Prediction], began_s: float
    ) -> AsyncGenerator[list[Prediction]]:
        latency_s, rows = self._clock() - began_s, self._pacing.turn_rows
        for begin in range(0, len(predictions), rows):
            turn = list(predictions[begin : begin + rows])
            self._record(turn, latency_s)
            yield turn
            await asyncio.sleep(0)
