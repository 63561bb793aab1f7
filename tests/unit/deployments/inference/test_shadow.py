"""Shadows of arms: who is asked what, and that no caller notices."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.domain.downstream import DownstreamError
from deployments.domain.instances import Caller, Instance
from deployments.domain.routing import ArmVersion, RoutingPolicy, RoutingTable
from deployments.inference.arm_queue import ArmQueue
from deployments.inference.dispatcher import Dispatcher
from deployments.inference.shadow import ShadowTraffic
from deployments.store import ShadowRow
from tests.support.conditions import wait_for
from training.runtime.tasks.base import ArmAnswer

ARMS = ("linear", "mlp")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def version(arm: str, number: int = 1) -> ArmVersion:
    return ArmVersion(model_version=str(number), bundle=f"sha256:{arm}{number}", source="")


def table(*shadows: ArmVersion, **policy: object) -> RoutingTable:
    """Arms at version 1, and shadows of the arms that their bundles name."""
    chosen = {"weights": {"mlp": 1.0}, "fallback": ARMS} | policy
    return RoutingTable(
        revision=1,
        policy=RoutingPolicy.model_validate(chosen),
        arms={arm: version(arm) for arm in ARMS},
        shadows={arm: one for one in shadows for arm in ARMS if arm in one.bundle},
    )


def instance(number: int, entity: str = "A12") -> Instance:
    return Instance(str(number), entity, np.full((2, 3), float(number)), b"{}", {})


class Arms:
    """A downstream that answers the number in the instance, times 10 from version 2 on.

    Bundles in `broken` fail, those in `forgetful` answer nothing, and those in `gated` wait until `open` is
    called.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[float]]] = []
        self.broken: set[str] = set()
        self.forgetful: set[str] = set()
        self.gated: set[str] = set()
        self.under_way = 0
        self._gates: list[asyncio.Event] = []

    async def __call__(
        self, arm: str, version: ArmVersion, raw: NDArray[np.float64], trace: str | None = None
    ) -> Sequence[ArmAnswer]:
        self.calls.append((version.bundle, [float(one[0, 0]) for one in raw]))
        self.under_way += 1
        try:
            await asyncio.sleep(0)
            if version.bundle in self.gated:
                self._gates.append(asyncio.Event())
                await self._gates[-1].wait()
            if version.bundle in self.broken:
                raise DownstreamError(f"{arm} is broken")
        finally:
            self.under_way -= 1
        if version.bundle in self.forgetful:
            return []
        factor = 10 ** (int(version.model_version) - 1)
        return [
            ArmAnswer({"area_m2": factor * float(one[0, 0])}, {"area_m2": [0.0, 1.0]}, 0.9) for one in raw
        ]

    def open(self) -> None:
        gates, self._gates = self._gates, []
        for gate in gates:
            gate.set()

    @property
    def stuck(self) -> int:
        """Calls that wait for `open`."""
        return len(self._gates)

    def of(self, bundle: str) -> list[list[float]]:
        """What the bundle was asked, call by call."""
        return [rows for called, rows in self.calls if called == bundle]


class Time:
    """Passes when somebody sleeps, and only then; remembers who slept for how long."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.rests: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.rests.append(seconds)
        self.now_s += seconds
        await asyncio.sleep(0)


class Replica:
    """Dispatcher and shadows as a router replica has them."""

    def __init__(self) -> None:
        self.arms = Arms()
        self.time = Time()
        self.written: list[ShadowRow] = []
        self.busy: list[str] = []
        self.queue = ArmQueue(self.arms)
        self.shadowing = ShadowTraffic(
            "apogee",
            self.arms,
            self.written.extend,
            lambda arm: arm in self.busy or self.queue.is_busy(arm),
            max_rows=4,
            max_waiting=10,
            clock=self.time,
            sleep=self.time.sleep,
        )
        self.predictor = Dispatcher(
            "apogee", self.arms, lambda some, _: self.shadowing.copy(some, NOW), queue=self.queue
        )

    def use(self, new: RoutingTable) -> None:
        self.predictor.use(new)
        self.shadowing.use(new)

    async def predict(self, *numbers: int, arm: str | None = None, is_probe: bool = False) -> list[float]:
        """What callers got who came one after another."""
        instances = [instance(number)._replace(caller=Caller(is_probe=is_probe)) for number in numbers]
        answers = [await self.predictor.predict(one, arm) for one in instances]
        return [answer.answer.prediction["area_m2"] for answer in answers]

    @property
    def pairs(self) -> list[tuple[str, float]]:
        return [(one.id, one.prediction["area_m2"]) for one in self.written]


@pytest.fixture
async def replica() -> AsyncIterator[Replica]:
    made = Replica()
    made.use(table(version("mlp", 2)))
    yield made
    await made.shadowing.close()


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("nothing comes of it")


async def idle(replica: Replica) -> None:
    """All copies that were taken have been asked."""
    await until(lambda: replica.shadowing.is_idle)


async def test_a_shadow_is_asked_what_its_arm_has_answered(replica: Replica) -> None:
    assert await replica.predict(7) == [7.0]
    await idle(replica)
    assert replica.arms.calls == [("sha256:mlp1", [7.0]), ("sha256:mlp2", [7.0])]
    assert replica.written == [
        ShadowRow(
            workload="apogee",
            id="7",
            arm="mlp",
            model_version="2",
            bundle="sha256:mlp2",
            created_at=NOW,
            latency_s=0.0,
            prediction={"area_m2": 70.0},
            interval={"area_m2": [0.0, 1.0]},
            coverage=0.9,
        )
    ]
    assert (replica.shadowing.answers, replica.shadowing.dropped) == ({"mlp": 1}, {})


async def test_no_caller_waits_for_a_shadow(replica: Replica) -> None:
    replica.arms.gated = {"sha256:mlp2"}
    assert await replica.predict(1) == [1.0]
    await until(lambda: replica.arms.stuck == 1)
    assert await replica.predict(2, 3) == [2.0, 3.0]
    assert replica.written == []


async def test_copies_gather_and_one_call_is_under_way_at_once(replica: Replica) -> None:
    replica.arms.gated = {"sha256:mlp2"}
    await replica.predict(1)
    await until(lambda: replica.arms.stuck == 1)
    await replica.predict(*range(2, 12))
    for calls in (1, 2, 3, 4):
        await until(lambda: replica.arms.stuck == 1)
        assert (len(replica.arms.of("sha256:mlp2")), replica.arms.under_way) == (calls, 1)
        replica.arms.open()
    await idle(replica)
    # no more than four go in a call, and nobody waits for more when there are as many
    assert [len(rows) for rows in replica.arms.of("sha256:mlp2")] == [1, 4, 4, 2]
    assert replica.pairs == [(str(number), 10.0 * number) for number in range(1, 12)]
    assert replica.time.rests == [0.1, 0.0, 0.0, 0.1]


async def test_what_is_too_much_is_dropped_and_counted_the_newest_first(replica: Replica) -> None:
    replica.arms.gated = {"sha256:mlp2"}
    await replica.predict(0)
    await until(lambda: replica.arms.stuck == 1)
    assert len(await replica.predict(*range(1, 16))) == 15
    assert replica.shadowing.dropped == {"mlp": 5}
    replica.arms.gated.clear()
    replica.arms.open()
    await idle(replica)
    assert [id_ for id_, _ in replica.pairs] == [str(number) for number in range(11)]
    assert replica.shadowing.answers == {"mlp": 11}


async def test_a_failing_shadow_is_left_alone_for_longer_and_longer(
    replica: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    replica.arms.broken = {"sha256:mlp2"}
    for number in range(8):
        assert await replica.predict(number) == [float(number)]
        await idle(replica)
    assert replica.time.rests == [0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert (replica.shadowing.failures, replica.shadowing.dropped) == ({"mlp": 8}, {"mlp": 8})
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert lines == [f"shadow failed, {times} times so far: mlp is broken" for times in (1, 2, 4, 8)]
    assert replica.predictor.breaker("mlp").state == "closed"
    replica.arms.broken.clear()
    for number in (8, 9):
        await replica.predict(number)
        await idle(replica)
    assert replica.pairs == [("8", 80.0), ("9", 90.0)]
    assert replica.time.rests[-2:] == [10.0, 0.1]


async def test_a_shadow_has_the_time_that_the_arm_has(
    replica: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    replica.use(table(version("mlp", 2), deadlines_s={"mlp": 0.01}))
    replica.arms.gated = {"sha256:mlp2"}
    await replica.predict(1)
    await wait_for(lambda: replica.shadowing.failures.total() > 0)
    assert (replica.arms.under_way, replica.written) == (0, [])
    assert "out of time" in caplog.text


async def test_a_shadow_that_answers_too_few_rows_has_failed(replica: Replica) -> None:
    replica.arms.forgetful = {"sha256:mlp2"}
    await replica.predict(1)
    await idle(replica)
    assert (replica.shadowing.failures, replica.written) == ({"mlp": 1}, [])


async def test_after_a_slow_call_a_shadow_rests_as_long(replica: Replica) -> None:
    replica.arms.gated = {"sha256:mlp2"}
    await replica.predict(1)
    await until(lambda: replica.arms.stuck == 1)
    replica.time.now_s += 1.5
    await replica.predict(2)
    replica.arms.open()
    await until(lambda: len(replica.arms.of("sha256:mlp2")) == 2)
    assert replica.time.rests == [0.1, 1.5]
    assert replica.written[0].latency_s == 1.5


async def test_the_requests_of_the_arm_go_first_but_not_for_ever(replica: Replica) -> None:
    replica.busy = ["mlp"]
    await replica.predict(1)
    await until(lambda: len(replica.time.rests) == 50)
    assert replica.arms.of("sha256:mlp2") == []
    replica.busy = []
    await idle(replica)
    assert replica.pairs == [("1", 10.0)]
    replica.busy, replica.time.rests = ["mlp"], []
    await replica.predict(2)
    await idle(replica)
    assert replica.pairs == [("1", 10.0), ("2", 20.0)]
    assert replica.time.rests == [0.1] + [0.01] * 100


async def test_an_arm_is_busy_while_requests_wait_for_it(replica: Replica) -> None:
    replica.arms.gated = {"sha256:mlp1"}
    assert not replica.queue.is_busy("mlp")
    waiting = []
    for number in range(3):  # two calls may be under way at once
        waiting.append(asyncio.create_task(replica.predictor.predict(instance(number))))
        await until(lambda number=number: replica.arms.under_way == min(number + 1, 2))  # type: ignore[misc]
        await asyncio.sleep(0)
        assert replica.queue.is_busy("mlp") == (number == 2)
    assert not replica.queue.is_busy("linear")
    assert not replica.queue.is_busy("nobody")
    replica.arms.gated.clear()
    replica.arms.open()
    await asyncio.gather(*waiting)


async def test_requests_that_name_their_arm_are_not_copied(replica: Replica) -> None:
    await replica.predict(1, arm="mlp")
    await replica.predict(2, arm="linear")
    await idle(replica)
    assert [called for called, _ in replica.arms.calls] == ["sha256:mlp1", "sha256:linear1"]


async def test_probes_are_not_copied(replica: Replica) -> None:
    await replica.predict(1, is_probe=True)
    await idle(replica)
    assert [called for called, _ in replica.arms.calls] == ["sha256:mlp1"]


async def test_only_answers_of_the_arm_itself_are_copied(replica: Replica) -> None:
    blend = {"blend": {"arms": list(ARMS), "min_truths": 3}}
    assert replica.predictor.table is not None
    policy = replica.predictor.table.policy.model_copy(update={"weights": {"linear": 1.0}})
    replica.use(table(version("mlp", 2), weights={"linear": 1.0}, ensembles=blend))
    await replica.predict(1)
    assert replica.shadowing.is_idle
    # but those that it gives in place of another too
    replica.arms.broken = {"sha256:linear1"}
    assert policy.fallback == ARMS
    assert await replica.predict(2) == [2.0]
    await idle(replica)
    assert replica.pairs == [("2", 20.0)]


async def test_a_shadow_that_answers_itself_by_now_is_not_asked_again(replica: Replica) -> None:
    promoted = table(version("mlp", 2))
    replica.use(promoted.model_copy(update={"arms": promoted.arms | {"mlp": version("mlp", 2)}}))
    assert await replica.predict(1) == [10.0]
    assert replica.shadowing.is_idle


async def test_batches_are_copied_when_they_are_handed_out(replica: Replica) -> None:
    answers = replica.predictor.predict_batch([instance(number) for number in range(6)])
    assert sum([len(part) async for part in answers]) == 6
    await idle(replica)
    assert replica.arms.of("sha256:mlp2") == [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0]]
    named = replica.predictor.predict_batch([instance(9)], "mlp")
    assert sum([len(part) async for part in named]) == 1
    await idle(replica)
    assert len(replica.written) == 6


async def test_each_arm_has_its_own_shadow(replica: Replica) -> None:
    replica.use(table(version("mlp", 2), version("linear", 3), weights={"mlp": 1.0, "linear": 1.0}))
    replica.arms.gated = {"sha256:linear3"}
    flights = [replica.predictor.predict(instance(number, f"flight-{number}")) for number in range(8)]
    served = {answer.id: answer.arm for answer in await asyncio.gather(*flights)}
    assert set(served.values()) == set(ARMS)
    # one that is stuck keeps no other from going on
    await until(lambda: len(replica.written) == sum(arm == "mlp" for arm in served.values()))
    replica.arms.gated.clear()
    replica.arms.open()
    await idle(replica)
    assert {one.id: one.arm for one in replica.written} == served
    assert {one.arm: one.bundle for one in replica.written} == {
        "mlp": "sha256:mlp2",
        "linear": "sha256:linear3",
    }


async def test_an_answer_out_of_the_cache_is_copied_as_well(replica: Replica) -> None:
    replica.use(table(version("mlp", 2), cache={"max_entries": 10}))
    assert await replica.predict(1, 1) == [1.0, 1.0]
    await idle(replica)
    assert (replica.predictor.cache.hits, len(replica.predictor.cache)) == ({"mlp": 1}, 1)
    assert replica.arms.calls == [("sha256:mlp1", [1.0]), ("sha256:mlp2", [1.0, 1.0])]


async def test_another_shadow_begins_anew(replica: Replica) -> None:
    replica.arms.broken = {"sha256:mlp2"}
    await replica.predict(1)
    await idle(replica)
    await replica.predict(2)
    replica.use(table(version("mlp", 3)))
    await replica.predict(3)
    await idle(replica)
    assert replica.pairs == [("3", 300.0)]
    assert (replica.arms.of("sha256:mlp2"), replica.arms.of("sha256:mlp3")) == ([[1.0]], [[3.0]])
    await replica.predict(4)
    replica.use(table())
    await replica.predict(5)
    await idle(replica)
    assert replica.arms.of("sha256:mlp3") == [[3.0]]


async def test_a_change_of_something_else_leaves_what_waits(replica: Replica) -> None:
    await replica.predict(1)
    replica.use(table(version("mlp", 2), version("linear", 2), weights={"linear": 1.0}))
    await idle(replica)
    assert replica.pairs == [("1", 10.0)]


async def test_closing_ends_what_is_under_way(replica: Replica) -> None:
    replica.arms.gated = {"sha256:mlp2"}
    await replica.predict(1)
    await until(lambda: replica.arms.stuck == 1)
    await replica.shadowing.close()
    assert (replica.arms.under_way, replica.written) == (0, [])
