"""More requests than an arm can answer: each gets its answer or a 503 that says when to come again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.domain.errors import Overloaded
from deployments.domain.instances import Instance
from deployments.domain.predictions import Prediction
from deployments.domain.routing import ArmVersion, RoutingPolicy, RoutingTable
from deployments.inference.dispatcher import Dispatcher
from deployments.inference.stack import build_stack
from deployments.lifecycle.bundle_cache import BundleCache
from deployments.runtime.batching import Coalescer
from deployments.telemetry.tracing.api import Tracing
from tests.support.clocks import SecondsClock
from tests.support.conditions import wait_for
from tests.support.flights import fly, instance_of
from tests.support.models import apogee_contract
from tests.support.serving import ARMS, POLICY, LocalDownstream, LocalSystem
from training.runtime.tasks.base import ArmAnswer

REQUESTS = 2000
DEADLINE_S = 60.0


class Gated:
    """Answers a call when it is let to; an arm that is stuck never is."""

    def __init__(self) -> None:
        self.gates: list[asyncio.Event] = []
        self.rows: Counter[str] = Counter()
        self.stuck: set[str] = set()

    async def __call__(
        self, arm: str, version: ArmVersion, raw: NDArray[np.float64], trace: str | None = None
    ) -> Sequence[ArmAnswer]:
        self.rows[arm] += len(raw)
        gate = asyncio.Event()
        if arm not in self.stuck:
            self.gates.append(gate)
        await gate.wait()
        return [ArmAnswer({"area_m2": float(one[0])}, {}, 0.9) for one in raw]

    def answer(self) -> None:
        gates, self.gates = self.gates, []
        for gate in gates:
            gate.set()


def table(**deadlines_s: float) -> RoutingTable:
    policy = RoutingPolicy(
        weights={"mlp": 1.0}, fallback=("mlp", "linear"), deadline_s=DEADLINE_S, deadlines_s=deadlines_s
    )
    arms = {arm: ArmVersion(model_version="1", bundle=arm, source="") for arm in ("mlp", "linear")}
    return RoutingTable(revision=1, policy=policy, arms=arms)


def instance(number: int) -> Instance:
    return Instance(str(number), "A12", np.array([float(number)]), b"{}", {})


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_an_arm_slower_than_its_load_refuses_and_neither_breaks_nor_loads_others() -> None:
    arms, clock = Gated(), SecondsClock()
    predictor = Dispatcher("toy", arms, lambda *_: None, clock=clock)
    predictor.use(table())
    tasks = [asyncio.create_task(predictor.predict(instance(number))) for number in range(REQUESTS)]
    await settle()
    while arms.gates:
        clock.now_s += 20.0  # a call; after the second the rest has waited more than half its deadline
        arms.answer()
        await settle()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert clock.now_s <= DEADLINE_S
    kinds = Counter(type(answer) for answer in answers)
    assert kinds == {Prediction: 1024, Overloaded: REQUESTS - 1024}
    given = [one.answer.prediction["area_m2"] for one in answers if isinstance(one, Prediction)]
    assert given == [float(number) for number in range(1024)]
    assert predictor.breaker("mlp").state == "closed"
    assert arms.rows == {"mlp": 1024}


async def test_an_arm_that_answers_nobody_has_failed_and_the_next_is_asked() -> None:
    arms = Gated()
    arms.stuck = {"mlp"}
    predictor = Dispatcher("toy", arms, lambda *_: None, clock=SecondsClock())
    predictor.use(table(mlp=0.05))
    tasks = [asyncio.create_task(predictor.predict(instance(number))) for number in range(10)]
    while not all(task.done() for task in tasks):
        arms.answer()
        await asyncio.sleep(0)
    assert {(task.result().arm, task.result().fallback) for task in tasks} == {("linear", True)}
    assert predictor.breaker("mlp").state == "open"


class SlowDownstream(LocalDownstream):
    """Once it is held, it answers when it is let to, which takes 20 s by the clock."""

    def __init__(self, cache: BundleCache, clock: SecondsClock) -> None:
        super().__init__(cache)
        self.is_held = False
        self._clock = clock
        self._gates: list[asyncio.Event] = []

    async def __call__(
        self, arm: str, version: ArmVersion, raw: NDArray[np.float64], trace: str | None = None
    ) -> Sequence[ArmAnswer]:
        if self.is_held:
            self._gates.append(asyncio.Event())
            await self._gates[-1].wait()
        return await super().__call__(arm, version, raw, trace)

    def answer(self) -> None:
        if not self._gates:
            return
        self._clock.now_s += 20.0
        gates, self._gates = self._gates, []
        for gate in gates:
            gate.set()


@dataclass
class Slow:
    """A system whose arms take one row a call, two calls at once.

    Attributes:
        waiting: rows that wait for a call.
    """

    system: LocalSystem
    downstream: SlowDownstream
    waiting: Callable[[], int]


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Slow]:
    clock = SecondsClock()
    made: list[Coalescer[Any, Any, Any]] = []

    def one_by_one(*args: Any, **options: Any) -> Coalescer[Any, Any, Any]:
        made.append(Coalescer(*args, **options | {"max_batch": 1, "clock": clock}))
        return made[-1]

    tracing = Tracing()
    tracing.coalescer = one_by_one
    system = LocalSystem(tmp_path)
    downstream = SlowDownstream(system.cache, clock)
    system.stack = build_stack(system.contract, ARMS, downstream, system.store, system.cache, tracing=tracing)
    yield Slow(system, downstream, lambda: sum(sum(one.all_waiting().values()) for one in made))
    system.store.close()


async def test_over_http_each_is_answered_200_or_503_with_retry_after(slow: Slow) -> None:
    system = slow.system
    # all are there before any time has passed by the clock; who waits for more than half of this is refused
    system.store.put_policy("apogee", POLICY.model_copy(update={"deadline_s": DEADLINE_S}))
    samples, _ = fly(5)
    body = instance_of(apogee_contract(), samples[105:160], "A12")

    async def post(client: httpx.AsyncClient) -> tuple[int, Any, dict[str, Any]]:
        answer = await client.post("/predict", json=body)
        return answer.status_code, answer.headers.get("retry-after"), answer.json()

    async with system.http() as client:
        slow.downstream.is_held = True
        sent = [asyncio.create_task(post(client)) for _ in range(40)]
        await wait_for(lambda: slow.waiting() >= 30)
        while not all(task.done() for task in sent):
            slow.downstream.answer()
            await asyncio.sleep(0)
        answers = [task.result() for task in sent]
    refused = [one for one in answers if one[0] != 200]
    assert {status for status, _, _ in answers} == {200, 503}
    assert {retry for _, retry, _ in refused} == {"1"}
    assert {one["type"] for _, _, one in refused} == {"urn:problem-type:raysonde:overload"}
    assert {one["detail"] for _, _, one in refused} == {"more requests come than can be answered in time"}
