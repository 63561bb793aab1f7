"""Bad input of every contract, made up by hypothesis: a documented 4xx, and no trace of it.

Corruptions start from the contract's own example, so that nothing else is wrong with what is sent.
"""

from __future__ import annotations

import asyncio
import copy
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from starlette.types import ASGIApp

from deployments.domain.routing import ArmVersion, RoutingPolicy, RoutingTable
from deployments.http.app import build_api, route_requests
from deployments.inference.stack import ServingStack, build_stack
from deployments.lifecycle.bundle_cache import BundleCache
from deployments.store import Store
from features.config import BUILT_IN, known_workloads, load_contract, load_sections
from features.contract import Contract
from tests.support.databases import empty_store
from tests.support.examples import examples
from training.runtime.tasks.base import ArmAnswer

DOCUMENTED = {400, 409, 413, 422}
Corrupt = Callable[[dict[str, Any]], Any]
quick = settings(
    max_examples=examples(12),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)


@dataclass
class CountingDownstream:
    """Stands where scaler and arms do; what is refused never comes here."""

    rows: int = 0

    async def __call__(
        self, arm: str, version: ArmVersion, raw: NDArray[np.float64], trace: str | None = None
    ) -> Sequence[ArmAnswer]:
        self.rows += len(raw)
        return [ArmAnswer({}, {}, 0.9)] * len(raw)


@dataclass(frozen=True)
class System:
    contract: Contract
    downstream: CountingDownstream
    store: Store
    app: ASGIApp
    loop: asyncio.AbstractEventLoop

    def post(self, path: str, content: bytes) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.post(path, content=content)

        return self.loop.run_until_complete(send())

    def assert_refused(self, response: httpx.Response) -> None:
        assert response.status_code in DOCUMENTED, response.text
        assert response.headers["content-type"] == "application/problem+json"
        problem = response.json()
        assert problem["detail"]
        assert "Traceback" not in response.text
        self.assert_no_trace()

    def assert_no_trace(self) -> None:
        assert self.downstream.rows == 0
        counts = self.store.counts(self.contract.workload)
        assert (counts.predictions, counts.truths) == (0, 0)


@pytest.fixture(params=known_workloads(BUILT_IN))
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    contract = load_contract(BUILT_IN, request.param)
    policy = RoutingPolicy.model_validate(load_sections(BUILT_IN, request.param)["routing"])
    store, downstream = Store(empty_store(tmp_path)), CountingDownstream()
    loop = asyncio.new_event_loop()

    async def start() -> ServingStack:
        cache = BundleCache(tmp_path / "cache", contract)
        stack = build_stack(contract, sorted(policy.arms), downstream, store, cache)
        version = ArmVersion(model_version="1", bundle="sha256:0", source="nowhere")
        arms = dict.fromkeys(sorted(policy.arms), version)
        stack.follower.use(RoutingTable(revision=1, policy=policy, arms=arms))
        return stack

    stack = loop.run_until_complete(start())
    yield System(contract, downstream, store, route_requests(stack.service, build_api(stack)), loop)
    loop.run_until_complete(stack.close())
    loop.close()
    store.close()


def sent(contract: Contract, corrupt: Corrupt) -> bytes:
    # json writes NaN and Infinity, as careless clients do
    return json.dumps(corrupt(copy.deepcopy(contract.example))).encode()


def holder(contract: Contract, instance: dict[str, Any], position: int) -> dict[str, Any]:
    """The object that has the fields: the instance, or one of its samples."""
    if contract.window is None:
        return instance
    samples: list[dict[str, Any]] = instance["samples"]
    return samples[position % len(samples)]


not_a_number = st.one_of(
    st.sampled_from([math.nan, math.inf, -math.inf, True, "", "12", [], {}, [1.0]]), st.text(max_size=8)
)


@st.composite
def wrong_values(draw: st.DrawFn, contract: Contract) -> Corrupt:
    """One field holds what the contract does not allow, or is not there at all."""
    spec = draw(st.sampled_from(contract.fields))
    position = draw(st.integers(0, 10_000))
    beyond = st.one_of(
        st.floats(min_value=math.nextafter(spec.maximum, math.inf), allow_infinity=False),
        st.floats(max_value=math.nextafter(spec.minimum, -math.inf), allow_infinity=False),
    )
    if spec.categories:
        values = st.one_of(st.integers(), st.none(), st.text().filter(lambda t: t not in spec.categories))
    else:
        values = st.one_of(not_a_number, beyond)
    value = draw(values)
    missing = spec.required and draw(st.booleans())

    def corrupt(instance: dict[str, Any]) -> Any:
        fields = holder(contract, instance, position)
        if missing:
            fields.pop(spec.name)
        else:
            fields[spec.name] = value
        return instance

    return corrupt


@st.composite
def wrong_shapes(draw: st.DrawFn, contract: Contract) -> Corrupt:
    """Members that there are not, of the wrong kind, or of another version; samples that make no window."""
    names = set(contract.field_names) | {"id", "schema_version", "samples", *contract.entity_names}
    name = draw(st.text(min_size=1, max_size=12).filter(lambda text: text not in names))
    where = draw(st.integers(0, 10_000))
    no_name = draw(st.sampled_from(["", "x" * 65, "a\nb", {}, [], 1.5, False]))
    no_samples: object = draw(st.sampled_from([None, {}, [], 5, "x", [5], [[]], [None]]))
    changes: list[Corrupt] = [
        lambda instance: instance | {name: 1},
        lambda instance: [instance],
        lambda instance: None,
        lambda instance: "instance",
        lambda instance: instance | {"schema_version": f"{contract.schema_version}.{where}"},
        lambda instance: instance | {"id": no_name},
        lambda instance: instance | {contract.entity_names[-1]: no_name},
    ]
    if contract.window is not None:
        changes += [
            lambda instance: instance | {"samples": no_samples},
            lambda instance: instance | {"samples": instance["samples"][::-1]},
            lambda instance: instance | {"samples": instance["samples"][-1:] * 2},
            lambda instance: instance | {"samples": instance["samples"][:1]},
            lambda instance: holder(contract, instance, where).update({name: 1}) or instance,
        ]
    return draw(st.sampled_from(changes))


@quick
@given(st.data())
def test_a_wrong_value_is_refused(system: System, data: st.DataObject) -> None:
    corrupt = data.draw(wrong_values(system.contract))
    system.assert_refused(system.post("/predict", sent(system.contract, corrupt)))


@quick
@given(st.data())
def test_a_wrong_shape_is_refused(system: System, data: st.DataObject) -> None:
    corrupt = data.draw(wrong_shapes(system.contract))
    system.assert_refused(system.post("/predict", sent(system.contract, corrupt)))


@quick
@given(st.data())
def test_one_wrong_instance_refuses_its_batch(system: System, data: st.DataObject) -> None:
    contract, example = system.contract, system.contract.example
    wrong = data.draw(st.one_of(wrong_values(contract), wrong_shapes(contract)))(copy.deepcopy(example))
    place = data.draw(st.integers(0, 2))
    instances = [example, example]
    instances.insert(place, wrong)
    response = system.post("/batch_predict", json.dumps({"instances": instances}).encode())
    system.assert_refused(response)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=12,
)


@quick
@given(body=st.one_of(st.binary(max_size=60), json_values.map(lambda value: json.dumps(value).encode())))
@pytest.mark.parametrize("path", ["/predict", "/batch_predict", "/feedback"])
def test_what_is_no_request_at_all_is_refused(system: System, path: str, body: bytes) -> None:
    system.assert_refused(system.post(path, body))


@quick
@given(truth=json_values)
def test_a_wrong_truth_is_refused(system: System, truth: Any) -> None:
    target = system.contract.target
    right = isinstance(truth, int | float) and not isinstance(truth, bool) and math.isfinite(truth)
    if system.contract.task == "regression" and right:
        truth = str(truth)
    body = json.dumps({"items": [{"id": "a", "truth": {target.name: truth}}]}).encode()
    system.assert_refused(system.post("/feedback", body))


def test_the_example_itself_is_answered(system: System) -> None:
    """What is corrupted above is right before."""
    assert system.post("/predict", json.dumps(system.contract.example).encode()).status_code == 200
    assert system.downstream.rows == 1
