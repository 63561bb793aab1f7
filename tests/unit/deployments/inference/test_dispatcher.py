import asyncio
from collections.abc import Sequence
from contextlib import aclosing

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.domain.breaker_settings import BreakerSettings
from deployments.domain.downstream import DownstreamError
from deployments.domain.errors import NoArmAvailable, Overloaded
from deployments.domain.instances import Instance
from deployments.domain.predictions import Prediction
from deployments.domain.routing import ArmVersion, RoutingPolicy, RoutingTable
from deployments.inference.dispatcher import Dispatcher
from features.errors import FieldError
from tests.support.clocks import SecondsClock
from training.runtime.tasks.base import ArmAnswer

ARMS = ("linear", "mlp", "random_forest")


def version(arm: str, number: int = 1) -> ArmVersion:
    return ArmVersion(
        model_version=str(number), bundle=f"sha256:{arm}{number}", source=f"bundles/{arm}{number}"
    )


def table(revision: int = 1, number: int = 1, **policy: object) -> RoutingTable:
    chosen = {"weights": {"mlp": 1.0}, "fallback": ARMS, "deadline_s": 60.0} | policy
    return RoutingTable(
        revision=revision,
        policy=RoutingPolicy.model_validate(chosen),
        arms={arm: version(arm, number) for arm in ARMS},
    )


def instance(number: int, entity: str = "A12") -> Instance:
    return Instance(str(number), entity, np.full((2, 3), float(number)), b"{}", {})


class Arms:
    """A downstream that answers the number in the instance; arms can be broken or slow."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, int]] = []
        self.broken: set[str] = set()
        self.stuck: set[str] = set()

    async def __call__(self, arm: str, version: ArmVersion, raw: NDArray[np.float64]) -> Sequence[ArmAnswer]:
        self.calls.append((arm, version.bundle, len(raw)))
        await asyncio.sleep(0)
        if arm in self.broken:
            raise DownstreamError(f"{arm} is broken")
        if arm in self.stuck:
            await asyncio.Event().wait()
        return [ArmAnswer({"area_m2": float(one[0, 0])}, {"area_m2": [0.0, 1.0]}, 0.9) for one in raw]


def rows_sent(arms: Arms) -> int:
    return sum(rows for _, _, rows in arms.calls)


async def whole(predictor: Dispatcher, instances: Sequence[Instance]) -> list[Prediction]:
    return [answer async for part in predictor.predict_batch(instances) for answer in part]


@pytest.fixture
def arms() -> Arms:
    return Arms()


@pytest.fixture
def clock() -> SecondsClock:
    return SecondsClock()


@pytest.fixture
def journal() -> list[Prediction]:
    return []


@pytest.fixture
def predictor(arms: Arms, clock: SecondsClock, journal: list[Prediction]) -> Dispatcher:
    predictor = Dispatcher("apogee", arms, lambda some, _: journal.extend(some), clock=clock)
    predictor.use(table())
    return predictor


async def test_an_answer_has_its_version_and_is_journalled(
    predictor: Dispatcher, journal: list[Prediction]
) -> None:
    prediction = await predictor.predict(instance(7))
    assert (prediction.answer.prediction["area_m2"], prediction.arm, prediction.version) == (
        7.0,
        "mlp",
        version("mlp"),
    )
    assert not prediction.fallback
    assert journal == [prediction]


async def test_concurrent_instances_share_calls_and_keep_their_answers(
    predictor: Dispatcher, arms: Arms
) -> None:
    answers = await asyncio.gather(*(predictor.predict(instance(n)) for n in range(100)))
    assert [answer.answer.prediction["area_m2"] for answer in answers] == [float(n) for n in range(100)]
    assert sum(rows for _, _, rows in arms.calls) == 100
    assert len(arms.calls) == 1


async def test_a_broken_arm_is_replaced_by_the_next(
    predictor: Dispatcher, arms: Arms, journal: list[Prediction]
) -> None:
    arms.broken = {"mlp"}
    prediction = await predictor.predict(instance(1))
    assert (prediction.arm, prediction.fallback) == ("linear", True)
    assert journal[0].decision.attempts == ("mlp", "linear", "random_forest")


async def test_an_arm_out_of_time_is_replaced_by_the_next(predictor: Dispatcher, arms: Arms) -> None:
    arms.stuck = {"mlp"}
    predictor.use(table(2, deadlines_s={"mlp": 0.02}))
    assert (await predictor.predict(instance(1))).arm == "linear"


async def test_a_breaker_opens_after_failures_and_closes_after_a_probe(
    predictor: Dispatcher, arms: Arms, clock: SecondsClock
) -> None:
    predictor.use(table(2, breaker=BreakerSettings(failures_to_open=3, open_s=5)))
    arms.broken = {"mlp"}
    for n in range(3):
        await predictor.predict(instance(n))
    assert predictor.breaker("mlp").state == "open"
    arms.calls.clear()
    await predictor.predict(instance(4))
    assert [arm for arm, _, _ in arms.calls] == ["linear"]
    arms.broken.clear()
    clock.now_s = 6
    assert (await predictor.predict(instance(5))).arm == "mlp"
    assert predictor.breaker("mlp").state == "closed"


async def test_when_every_arm_fails_the_error_names_each(
    predictor: Dispatcher, arms: Arms, journal: list[Prediction]
) -> None:
    arms.broken = set(ARMS)
    with pytest.raises(NoArmAvailable, match=r"mlp: .*linear: .*random_forest: "):
        await predictor.predict(instance(1))
    assert journal == []


async def test_a_named_arm_answers_alone(predictor: Dispatcher, arms: Arms) -> None:
    assert (await predictor.predict(instance(1), "linear")).arm == "linear"
    arms.broken = {"linear"}
    with pytest.raises(NoArmAvailable):
        await predictor.predict(instance(2), "linear")
    with pytest.raises(FieldError, match="Raysonde-Arm"):
        await predictor.predict(instance(3), "nobody")


async def test_before_the_first_table_there_is_no_answer(arms: Arms) -> None:
    with pytest.raises(NoArmAvailable, match="no model is loaded yet"):
        await Dispatcher("apogee", arms, lambda *_: None).predict(instance(1))


async def test_a_request_under_way_ends_on_the_table_it_began_with(predictor: Dispatcher) -> None:
    under_way = asyncio.create_task(predictor.predict(instance(1)))
    await asyncio.sleep(0)
    predictor.use(table(2, number=2))
    later = await predictor.predict(instance(2))
    assert (await under_way).version == version("mlp", 1)
    assert later.version == version("mlp", 2)


async def test_a_batch_keeps_its_order_and_is_routed_one_by_one(predictor: Dispatcher, arms: Arms) -> None:
    predictor.use(table(2, weights={"mlp": 1.0, "linear": 1.0}))
    answers = await whole(predictor, [instance(n, f"flight-{n}") for n in range(2500)])
    assert [answer.answer.prediction["area_m2"] for answer in answers] == [float(n) for n in range(2500)]
    assert {answer.arm for answer in answers} == {"mlp", "linear"}
    assert max(rows for _, _, rows in arms.calls) <= 1000
    alone = await predictor.predict(instance(17, "flight-17"))
    assert alone.arm == answers[17].arm


async def test_a_batch_falls_back_as_one_instance_does(predictor: Dispatcher, arms: Arms) -> None:
    arms.broken = {"mlp"}
    answers = await whole(predictor, [instance(n) for n in range(3)])
    assert {(answer.arm, answer.fallback) for answer in answers} == {("linear", True)}


async def test_parts_of_a_batch_are_asked_for_ahead_and_journalled_when_handed_out(
    predictor: Dispatcher, arms: Arms, journal: list[Prediction]
) -> None:
    async with aclosing(predictor.predict_batch([instance(n) for n in range(3500)])) as answers:
        assert [answer.id for answer in await anext(answers)] == [str(n) for n in range(250)]
        assert (rows_sent(arms), len(journal)) == (2000, 250)
        for _ in range(4):
            await anext(answers)
        for _ in range(9):
            await asyncio.sleep(0)
        assert (rows_sent(arms), len(journal)) == (3000, 1250)
    # whoever reads no further gets no more, and nothing more is journalled
    assert (rows_sent(arms), len(journal)) == (3000, 1250)


async def test_instances_of_a_batch_are_taken_part_by_part(predictor: Dispatcher) -> None:
    instances = iter([instance(n) for n in range(3500)])
    async with aclosing(predictor.predict_batch(instances)) as answers:
        await anext(answers)
        assert sum(1 for _ in instances) == 1500


async def test_a_batch_that_fails_on_its_way_ends_there(
    predictor: Dispatcher, arms: Arms, journal: list[Prediction], caplog: pytest.LogCaptureFixture
) -> None:
    answers = predictor.predict_batch([instance(n) for n in range(4000)])
    await anext(answers)
    arms.broken = set(ARMS)
    for _ in range(7):  # the second part was asked for with the first
        await anext(answers)
    with pytest.raises(NoArmAvailable):
        await anext(answers)
    assert len(journal) == 2000
    assert "never retrieved" not in caplog.text


async def test_overload_is_reported_and_does_not_spread_to_other_arms(clock: SecondsClock) -> None:
    class Full(Arms):
        async def __call__(
            self, arm: str, version: ArmVersion, raw: NDArray[np.float64]
        ) -> Sequence[ArmAnswer]:
            self.calls.append((arm, version.bundle, len(raw)))
            raise Overloaded("full")

    full = Full()
    predictor = Dispatcher("apogee", full, lambda *_: None, clock=clock)
    predictor.use(table())
    with pytest.raises(Overloaded):
        await predictor.predict(instance(1))
    assert [arm for arm, _, _ in full.calls] == ["mlp"]
    assert predictor.breaker("mlp").state == "closed"


async def test_a_new_table_leaves_breakers_as_they_are_unless_it_sets_others(
    predictor: Dispatcher, arms: Arms
) -> None:
    settings = BreakerSettings(failures_to_open=3, open_s=5)
    predictor.use(table(2, breaker=settings))
    arms.broken = {"mlp"}
    for n in range(3):
        await predictor.predict(instance(n))
    predictor.use(table(3, number=2, breaker=settings, weights={"mlp": 1.0, "linear": 1.0}))
    assert predictor.breaker("mlp").state == "open"
    predictor.use(table(4, number=2, breaker=settings.model_copy(update={"open_s": 6})))
    assert predictor.breaker("mlp").state == "closed"


async def test_a_caller_that_leaves_during_a_probe_makes_room_for_another(
    predictor: Dispatcher, arms: Arms, clock: SecondsClock
) -> None:
    predictor.use(table(2, deadline_s=60.0, breaker=BreakerSettings(failures_to_open=1, open_s=5)))
    arms.broken = {"mlp"}
    await predictor.predict(instance(1))
    clock.now_s, arms.broken, arms.stuck = 6, set(), {"mlp"}
    leaves = asyncio.create_task(predictor.predict(instance(2)))
    for _ in range(9):
        await asyncio.sleep(0)
    assert predictor.breaker("mlp").is_open, "its probe is under way"
    leaves.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaves
    arms.stuck = set()
    assert (await predictor.predict(instance(3))).arm == "mlp"
    assert predictor.breaker("mlp").state == "closed"
