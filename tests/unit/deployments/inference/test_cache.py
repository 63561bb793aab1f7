"""The prediction cache: what it keeps, and that an answer is the same with it and without it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from deployments.domain.breaker_settings import BreakerSettings
from deployments.domain.cache_settings import CacheSettings
from deployments.domain.downstream import DownstreamError
from deployments.domain.errors import NoArmAvailable
from deployments.domain.instances import Instance
from deployments.domain.predictions import Prediction
from deployments.domain.routing import ArmVersion, RoutingPolicy, RoutingTable
from deployments.inference.cache import AnswerCache
from deployments.inference.dispatcher import Dispatcher
from deployments.store import Store
from tests.support.flights import fly, instance_of
from tests.support.models import apogee_contract
from tests.support.reentry import points_of, reentry_parts
from tests.support.serving import POLICY, LocalSystem
from training.runtime.tasks.base import ArmAnswer

ARMS = ("linear", "mlp")
AnswerContent = tuple[str | int, ArmAnswer, str, ArmVersion, bool]
SMALL = CacheSettings(max_entries=2)


def row(value: float) -> ArmAnswer:
    return ArmAnswer({"area_m2": value}, {"area_m2": [value - 1, value + 1]}, 0.9, 0.25)


def kept(value: float) -> ArmAnswer:
    return row(value)._replace(cached=True)


def content(prediction: Prediction) -> AnswerContent:
    """What a caller gets, which tells nothing of the cache."""
    answer = prediction.answer._replace(cached=None)
    return prediction.id, answer, prediction.arm, prediction.version, prediction.fallback


def raw(value: float) -> NDArray[np.float64]:
    return np.full((2, 3), value)


def instance(number: int, value: float) -> Instance:
    return Instance(str(number), f"entity-{number % 5}", raw(value), b"{}", {})


def table(versions: Sequence[int] = (1, 1), revision: int = 1, **policy: Any) -> RoutingTable:
    chosen = {"weights": {"mlp": 1.0}, "fallback": ARMS, "cache": {"max_entries": 100}} | policy
    arms = {
        arm: ArmVersion(model_version=str(number), bundle=f"sha256:{arm}{number}", source="")
        for arm, number in zip(ARMS, versions, strict=True)
    }
    return RoutingTable(revision=revision, policy=RoutingPolicy.model_validate(chosen), arms=arms)


class Arms:
    """A downstream whose answers are of the version and the instance; counts what it is asked."""

    def __init__(self) -> None:
        self.rows = 0
        self.broken: set[str] = set()

    async def __call__(
        self, arm: str, version: ArmVersion, batch: NDArray[np.float64]
    ) -> Sequence[ArmAnswer]:
        self.rows += len(batch)
        await asyncio.sleep(0)
        if arm in self.broken:
            raise DownstreamError(f"{arm} is broken")
        return [row(1000 * len(arm) + 100 * int(version.model_version[-1]) + one[0, 0]) for one in batch]


class Journal:
    """Takes predictions and the seconds that they took."""

    def __init__(self) -> None:
        self.predictions: list[Prediction] = []
        self.latencies_s: list[float] = []

    def record(self, predictions: Sequence[Prediction], latency_s: float) -> None:
        self.predictions += predictions
        self.latencies_s.append(latency_s)

    @property
    def cached(self) -> list[bool | None]:
        return [one.answer.cached for one in self.predictions]


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 0.001
        return self.now_s


@pytest.fixture
def arms() -> Arms:
    return Arms()


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def predictor(arms: Arms, journal: Journal, clock: Clock) -> Dispatcher:
    predictor = Dispatcher("toy", arms, journal.record, clock=clock)
    predictor.use(table())
    return predictor


def test_a_cache_is_off_until_its_bundles_are_set() -> None:
    cache = AnswerCache()
    cache.keep("a", raw(1), row(1))
    assert cache.find("mlp", "a", raw(1)) is None
    assert (len(cache), cache.hits, cache.misses) == (0, {}, {})
    assert not cache.covers("a")


def test_an_entry_is_of_one_bundle_and_one_matrix() -> None:
    cache = AnswerCache()
    cache.use(SMALL, {"a", "b"})
    cache.keep("a", raw(1), row(1))
    found = [cache.find("mlp", "a", raw(1)), cache.find("mlp", "b", raw(1)), cache.find("mlp", "a", raw(1.5))]
    assert found == [kept(1), None, None]
    assert (cache.hits["mlp"], cache.misses["mlp"]) == (1, 2)


def test_the_least_recently_used_goes_first() -> None:
    cache = AnswerCache()
    cache.use(SMALL, {"a"})
    cache.keep("a", raw(1), row(1))
    cache.keep("a", raw(2), row(2))
    cache.find("mlp", "a", raw(1))
    cache.keep("a", raw(3), row(3))
    assert [cache.find("mlp", "a", raw(value)) is not None for value in (1, 2, 3)] == [True, False, True]
    cache.use(CacheSettings(max_entries=1), {"a"})
    assert (len(cache), cache.find("mlp", "a", raw(3))) == (1, kept(3))


def test_bundles_that_serve_no_longer_are_forgotten_and_taken_no_more() -> None:
    cache = AnswerCache()
    cache.use(SMALL, {"a", "b"})
    cache.keep("a", raw(1), row(1))
    cache.keep("b", raw(1), row(2))
    cache.use(SMALL, {"b", "c"})
    cache.keep("a", raw(2), row(3))  # was under way
    assert len(cache) == 1
    assert cache.find("mlp", "b", raw(1)) == kept(2)
    cache.use(None, {"b", "c"})
    assert len(cache) == 0


def test_a_policy_says_how_many_answers_or_has_no_cache() -> None:
    assert RoutingPolicy(weights={"mlp": 1}).cache is None
    for wrong in ({"max_entries": 0}, {}, {"max_entries": 10, "ttl_s": 5}):
        with pytest.raises(ValidationError, match="cache"):
            RoutingPolicy.model_validate({"weights": {"mlp": 1}, "cache": wrong})


async def test_what_was_answered_is_not_asked_again_and_is_journalled_as_such(
    predictor: Dispatcher, arms: Arms, journal: Journal
) -> None:
    first = await predictor.predict(instance(1, 7.0))
    second = await predictor.predict(instance(2, 7.0)._replace(number=2))
    assert content(second) == (2, *content(first)[1:])
    assert arms.rows == 1
    assert journal.cached == [False, True]
    assert journal.predictions[1].instance.id == "2"
    assert 0 < journal.latencies_s[1] < journal.latencies_s[0] + 1
    assert (predictor.cache.hits, predictor.cache.misses) == ({"mlp": 1}, {"mlp": 1})


async def test_without_the_setting_every_request_is_asked(
    predictor: Dispatcher, arms: Arms, journal: Journal
) -> None:
    await predictor.predict(instance(1, 7.0))
    predictor.use(table(revision=2, cache=None))
    for number in (2, 3):
        await predictor.predict(instance(number, 7.0))
    assert arms.rows == 3
    assert journal.cached == [False, None, None]


async def test_errors_are_not_kept_and_a_fallback_is_kept_under_what_answered(
    predictor: Dispatcher, arms: Arms, journal: Journal
) -> None:
    arms.broken = set(ARMS)
    with pytest.raises(NoArmAvailable):
        await predictor.predict(instance(1, 7.0))
    arms.broken = {"mlp"}
    given = [await predictor.predict(instance(number, 7.0)) for number in (2, 3)]
    assert [(one.arm, one.fallback) for one in given] == [("linear", True)] * 2
    assert journal.cached == [False, True]
    assert content(given[0])[1:] == content(given[1])[1:]
    arms.broken = set()
    restored = await predictor.predict(instance(4, 7.0))
    assert (restored.arm, restored.fallback) == ("mlp", False)


async def test_a_hit_needs_no_arm_and_leaves_its_breaker_alone(
    predictor: Dispatcher, arms: Arms, clock: Clock
) -> None:
    predictor.use(table(revision=2, fallback=(), breaker=BreakerSettings(failures_to_open=1, open_s=5)))
    known = await predictor.predict(instance(1, 7.0))
    arms.broken = {"mlp"}
    with pytest.raises(NoArmAvailable):
        await predictor.predict(instance(2, 8.0))
    assert predictor.breaker("mlp").state == "open"
    assert content(await predictor.predict(instance(3, 7.0)))[1:] == content(known)[1:]
    clock.now_s += 10
    assert content(await predictor.predict(instance(4, 7.0)))[1:] == content(known)[1:]
    assert predictor.breaker("mlp").state == "half_open"


async def test_an_ensemble_is_always_asked_and_so_is_a_batch(
    predictor: Dispatcher, arms: Arms, journal: Journal
) -> None:
    blend = {"blend": {"arms": ARMS}}
    predictor.use(table(revision=2, ensembles=blend, weights={"blend": 1}))
    for number in (1, 2):
        await predictor.predict(instance(number, 7.0))
    predictor.use(table(revision=3))
    for number in (3, 4):
        async for _ in predictor.predict_batch([instance(number, 7.0)]):
            pass
    assert arms.rows == 4
    assert journal.cached == [None] * 4
    assert len(predictor.cache) == 0


# one step: a request (value, arm), or versions (linear, mlp) with a size of the cache
STEPS = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 4), st.sampled_from([None, *ARMS])),
        st.tuples(st.tuples(st.integers(1, 3), st.integers(1, 3)), st.sampled_from([None, 1, 3, 100])),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(STEPS, st.booleans())
def test_answers_with_the_cache_equal_those_without(steps: list[Any], waits: bool) -> None:
    """For any order of requests and swaps of versions, one by one and all at once."""

    async def answers(cached: bool) -> list[AnswerContent]:
        predictor = Dispatcher("toy", Arms(), lambda *_: None)
        tasks: list[asyncio.Task[Prediction]] = []
        for number, (what, how) in enumerate([((1, 1), 100), *steps]):
            if isinstance(what, tuple):
                size = {"max_entries": how} if cached and how else None
                predictor.use(table(what, number + 1, weights={"mlp": 2.0, "linear": 1.0}, cache=size))
                continue
            tasks.append(asyncio.create_task(predictor.predict(instance(number, float(what)), how)))
            await (tasks[-1] if waits else asyncio.sleep(0))
        assert cached or not predictor.cache.misses
        return [content(one) for one in await asyncio.gather(*tasks)]

    assert asyncio.run(answers(cached=True)) == asyncio.run(answers(cached=False))


@pytest.fixture
def system(tmp_path: Path) -> Iterator[LocalSystem]:
    with LocalSystem(tmp_path) as system:
        yield system


def with_cache(policy: RoutingPolicy = POLICY) -> dict[str, Any]:
    return policy.model_dump(mode="json") | {"cache": {"max_entries": 1000}}


def journalled(store: Store, workload: str) -> dict[str, tuple[bool | None, float | None]]:
    return {one.id: (one.cached, one.outlier_score) for _, one in store.predictions(workload)}


async def test_over_http_it_is_switched_by_the_policy_and_shown(system: LocalSystem) -> None:
    samples, _ = fly(5)
    body = instance_of(apogee_contract(), samples[105:160], "A12")
    async with system.http() as client:
        answers = [(await client.post("/predict", json=body | {"id": "off"})).json()]
        assert (await client.put("/traffic", json=with_cache())).status_code == 200
        for id_ in ("miss", "hit"):
            answers.append((await client.post("/predict", json=body | {"id": id_})).json())
        info = (await client.get("/info")).json()["arms"][answers[0]["arm"]]
        await client.put("/traffic", json=POLICY.model_dump(mode="json"))
        answers.append((await client.post("/predict", json=body | {"id": "off-again"})).json())
    assert [one.pop("id") for one in answers] == ["off", "miss", "hit", "off-again"]
    assert answers[1:] == [answers[0]] * 3
    assert (info["cache_hits"], info["cache_misses"], info["predictions"]) == (1, 1, 3)
    score = answers[0]["outlier_score"]
    assert journalled(system.store, "apogee") == {
        "off": (None, score),
        "miss": (False, score),
        "hit": (True, score),
        "off-again": (None, score),
    }


async def test_single_points_are_known_by_all_that_completes_them(tmp_path: Path) -> None:
    """The same point after other points is another input, though the bodies are alike."""
    system = LocalSystem(tmp_path, reentry_parts)
    points = points_of("booster", 24)["samples"]

    def body(samples: list[dict[str, Any]], track: str, id_: str) -> dict[str, Any]:
        return {"track_id": track, "sensor_id": "S1", "samples": samples, "id": id_}

    async def send(client: httpx.AsyncClient, start: list[dict[str, Any]], track: str) -> dict[str, Any]:
        await client.post("/predict", json=body(start, track, f"{track}-start"))
        named = {"Raysonde-Arm": "linear"}
        answer = await client.post("/predict", json=body([points[14]], track, f"{track}-end"), headers=named)
        return {name: value for name, value in answer.json().items() if name != "id"}

    shifted = [point | {"altitude": point["altitude"] + 20_000.0} for point in points[:14]]
    async with system.http() as client:
        plain = [await send(client, points[:14], "a"), await send(client, shifted, "b")]
        await client.put("/traffic", json=with_cache())
        cached = [await send(client, start, track) for start, track in ((points[:14], "c"), (shifted, "d"))]
        again = await send(client, points[:14], "e")
    assert cached == plain
    assert plain[0] != plain[1]
    assert again == plain[0]
    rows = journalled(system.store, "reentry")
    assert [rows[f"{track}-end"][0] for track in "abcde"] == [None, None, False, False, True]
    system.store.close()
