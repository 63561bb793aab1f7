"""Shadow traffic: the requests of an arm, sent again to another version after the answer. Pure.

An arm may have a shadow, a version that gets the same instances and whose answers no caller gets. Requests
that named the arm are not copied: they are left out of every comparison. A cached answer is copied as well: a
comparison without it would be of other traffic than the arm's. A copy costs the request an append; all else
is done by one task an arm:

- One call of a shadow is under way at once, with the copies of `gather_s`, `max_rows` at most. After
  a call it rests for as long as the call took, so a slow shadow has half of the time of one caller at most.
- The arm's own requests go first. While some wait for the arm in this replica the shadow waits too, for
  `_MAX_YIELDS` checks at most, a second: an arm that never catches up is copied a little even so, else its
  shadow would never be evaluated.
- A call that fails, or takes longer than the policy gives the arm, is not made again. Rests double with each
  failure in a row, up to `max_backoff_s`.
- At most `max_waiting` copies of an arm wait; newer ones are dropped.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deployments.domain.downstream import Downstream
from deployments.domain.predictions import Prediction
from deployments.domain.routing import ArmVersion, RoutingPolicy, RoutingTable
from deployments.runtime.logs import should_log_count
from deployments.store.records import ShadowRow
from training.runtime.tasks.base import ArmAnswer

_log = logging.getLogger(__name__)

# how long, and how often, a shadow lets the requests of its arm go first
_YIELD_S = 0.01
_MAX_YIELDS = 100


class _Copy(NamedTuple):
    """An instance to ask the shadow about, and the answer to compare with: its id and time."""

    id: str
    raw: NDArray[np.float64]
    created_at: datetime


class _Lane:
    """The copies of one arm that wait for its shadow."""

    def __init__(self) -> None:
        self.waiting: deque[_Copy] = deque()
        self.task: asyncio.Task[None] | None = None
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget the copies and failures of the shadow before."""
        self.waiting.clear()
        self.is_failing = False
        self.rest_s = 0.0


class ShadowTraffic:
    """The shadows of one router replica; belongs to one event loop.

    Args:
        workload: whose arms.
        downstream: the scaler and the arms, as for requests.
        sink: takes the answers of shadows; never blocks or raises.
        is_busy: whether requests wait for an arm.
        gather_s: how long copies gather before a call, unless it is full.
        max_rows: most copies in a call.
        max_waiting: most copies of an arm that wait.
        backoff_s: rest after a failure; it doubles up to `max_backoff_s`.
        max_backoff_s: longest rest.
        clock: monotonic seconds.
        sleep: pauses for so many seconds; tests give their own.

    Attributes:
        answers: copies that a shadow answered, by arm.
        dropped: copies that no shadow will answer: too many waited, or their call failed.
        failures: calls that failed, by arm.
    """

    def __init__(
        self,
        workload: str,
        downstream: Downstream,
        sink: Callable[[Sequence[ShadowRow]], None],
        is_busy: Callable[[str], bool],
        *,
        gather_s: float = 0.1,
        max_rows: int = 256,
        max_waiting: int = 2048,
        backoff_s: float = 0.5,
        max_backoff_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.answers: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self._workload = workload
        self._downstream = downstream
        self._sink = sink
        self._is_busy = is_busy
        self._gather_s = gather_s
        self._max_rows = max_rows
        self._max_waiting = max_waiting
        self._backoff_s = backoff_s
        self._max_backoff_s = max_backoff_s
        self._clock = clock
        self._sleep = sleep
        self._policy: RoutingPolicy | None = None
        self._shadows: dict[str, ArmVersion] = {}
        self._lanes: dict[str, _Lane] = {}

    def use(self, table: RoutingTable) -> None:
        """Copy for the shadows of this table from now on, and forget the copies for others."""
        before, self._shadows, self._policy = self._shadows, dict(table.shadows), table.policy
        for arm, lane in self._lanes.items():
            if before.get(arm) != self._shadows.get(arm):
                lane.begin_anew()

    def copy(self, predictions: Sequence[Prediction], created_at: datetime) -> None:
        """Copy the predictions of arms that have a shadow; never blocks, and never fails.

        Args:
            predictions: that callers got.
            created_at: time of these predictions in the journal.
        """
        if not self._shadows:
            return
        for instance, decision, arm, version, _ in predictions:
            shadow = self._shadows.get(arm)
            if shadow is None or decision.named or instance.caller.is_probe:
                continue
            # just promoted, a shadow may be the version that answers by now
            if shadow.bundle != version.bundle:
                self._take(arm, _Copy(instance.id, instance.raw, created_at))

    @property
    def is_idle(self) -> bool:
        """Return whether no copy waits for a shadow, and no call is in flight."""
        return all(lane.task is None or lane.task.done() for lane in self._lanes.values())

    async def close(self) -> None:
        """End the calls under way. Copies that wait are lost."""
        tasks = [lane.task for lane in self._lanes.values() if lane.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _take(self, arm: str, copy: _Copy) -> None:
        lane = self._lanes.setdefault(arm, _Lane())
        if len(lane.waiting) >= self._max_waiting:
            self.dropped[arm] += 1
            return
        lane.waiting.append(copy)
        if lane.task is None or lane.task.done():
            lane.task = asyncio.create_task(self._ask_all(arm, lane))

    async def _ask_all(self, arm: str, lane: _Lane) -> None:
        while lane.waiting:
            is_full = len(lane.waiting) >= self._max_rows
            await self._sleep(lane.rest_s if is_full else max(lane.rest_s, self._gather_s))
            for _ in range(_MAX_YIELDS):
                if not self._is_busy(arm):
                    break
                await self._sleep(_YIELD_S)
            shadow = self._shadows.get(arm)
            copies = [lane.waiting.popleft() for _ in range(min(len(lane.waiting), self._max_rows))]
            if shadow is not None and copies:
                await self._ask(arm, lane, shadow, copies)

    async def _ask(self, arm: str, lane: _Lane, shadow: ArmVersion, copies: Sequence[_Copy]) -> None:
        """Make one call, and give its answers to the sink."""
        assert self._policy is not None, "a shadow comes with a table"
        began_s = self._clock()
        try:
            async with asyncio.timeout(self._policy.arm_deadline_s(arm)):
                answers = await self._downstream(arm, shadow, np.stack([copy.raw for copy in copies]))
            latency_s = self._clock() - began_s
            rows = [
                self._row(arm, shadow, copy, answer, latency_s)
                for copy, answer in zip(copies, answers, strict=True)
            ]
        except Exception as error:  # noqa: BLE001 - no shadow, however wrong, may stop the others
            self._fail(arm, lane, shadow, copies, error)
            return
        lane.is_failing = False
        lane.rest_s = latency_s
        self.answers[arm] += len(rows)
        self._sink(rows)

    def _row(
        self, arm: str, shadow: ArmVersion, copy: _Copy, answer: ArmAnswer, latency_s: float
    ) -> ShadowRow:
        return ShadowRow(
            workload=self._workload,
            id=copy.id,
            arm=arm,
            model_version=shadow.model_version,
            bundle=shadow.bundle,
            created_at=copy.created_at,
            latency_s=latency_s,
            prediction=answer.prediction,
            interval=answer.region,
            coverage=answer.coverage,
        )

    def _fail(
        self, arm: str, lane: _Lane, shadow: ArmVersion, copies: Sequence[_Copy], error: Exception
    ) -> None:
        self.dropped[arm] += len(copies)
        self.failures[arm] += 1
        if shadow == self._shadows.get(arm):
            lane.rest_s = min(2 * lane.rest_s, self._max_backoff_s) if lane.is_failing else self._backoff_s
            lane.is_failing = True
        if should_log_count(self.failures[arm]):
            reason = str(error) or "out of time"
            labels = {"workload": self._workload, "arm": arm, "model_version": shadow.model_version}
            _log.warning("shadow failed, %d times so far: %s", self.failures[arm], reason, extra=labels)
