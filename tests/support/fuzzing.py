"""A workload under requests that are made up from its OpenAPI document, right and wrong ones."""

from __future__ import annotations

import asyncio
import copy
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from numpy.typing import NDArray
from schemathesis import GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.types import ASGIApp

from deployments.domain.routing import ArmVersion, RoutingPolicy
from deployments.http.app import build_api, build_app
from deployments.http.request_metrics import RequestCounts
from deployments.inference.stack import ServingStack, build_stack
from deployments.lifecycle.bundle_cache import BundleCache
from deployments.store import Store
from deployments.telemetry.tracing.api import NO_TRACING
from features.config import BUILT_IN, load_contract, load_sections
from features.contract import Contract
from tests.support.models import apogee_contract, make_parts
from training.runtime.bundle import Bundle, write_bundle
from training.runtime.tasks.base import ArmAnswer

KEY = "the-key"
WITH_KEY = {"Authorization": f"Bearer {KEY}"}
MOST_ANSWER_BYTES = 64 << 10
# of each operation, in the suite
FEW_EXAMPLES = 5
_MOST_SECONDS = 20
_CHECKS: list[CheckFunction] = [
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


class _OneBundle(BundleCache):
    """Has a bundle of another workload in place of every one: nothing but its card is used."""

    real: tuple[str, str]

    def fetch(self, bundle: str, source: str) -> Bundle:
        return super().fetch(*self.real)


class Answered:
    """Stands where scaler and arms do, and answers as the contract says."""

    def __init__(self, contract: Contract) -> None:
        schema = contract.target.answer_schema()
        region = contract.target.region
        self._answer = ArmAnswer(
            _value_of(schema["prediction"]), _value_of(schema[region]) if region else {}, 0.9, 0.5
        )

    async def __call__(
        self, arm: str, version: ArmVersion, raw: NDArray[np.float64], trace: str | None = None
    ) -> Sequence[ArmAnswer]:
        return [self._answer] * len(raw)


def _value_of(schema: dict[str, Any]) -> Any:
    """Return a value that a schema of answers allows."""
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] == "object":
        return {name: _value_of(member) for name, member in schema["properties"].items()}
    if schema["type"] == "array":
        return [_value_of(schema["items"])] * schema.get("minItems", 1)
    return 1.0


@dataclass(frozen=True)
class FuzzedSystem:
    """All of a workload's ASGI stack, its key included, over a store."""

    contract: Contract
    store: Store
    stack: ServingStack
    app: ASGIApp
    document: dict[str, Any]
    loop: asyncio.AbstractEventLoop
    _sent: Iterator[int] = field(default_factory=count)

    def _address(self) -> str:
        """Return an address of its own for each request: of one that fails often, answers wait."""
        return str(IPv6Address(next(self._sent)))

    def send(self, **request: Any) -> httpx.Response:
        """Send a request, and assert what holds for each: no fault, no hang, no long refusal."""

        async def send() -> httpx.Response:
            # a fault is answered and raised on; the answer is what counts
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(self._address(), 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                async with asyncio.timeout(_MOST_SECONDS):
                    return await client.request(**request)

        response = self.loop.run_until_complete(send())
        assert response.status_code < 500 or response.status_code == 503, response.text
        if response.status_code >= 400:
            assert len(response.content) <= MOST_ANSWER_BYTES
        return response


@contextmanager
def fuzzed_system(workload: str, store_url: str, folder: Path) -> Iterator[FuzzedSystem]:
    """A workload with a version of each arm."""
    contract = load_contract(BUILT_IN, workload)
    policy = RoutingPolicy.model_validate(load_sections(BUILT_IN, workload)["routing"])
    store = Store(store_url)
    store.create_tables()
    version = ArmVersion(model_version="1", bundle="sha256:0", source="nowhere")
    store.seed_policy(workload, policy)
    store.put_arms(workload, dict.fromkeys(policy.arms, version))
    loop = asyncio.new_event_loop()

    async def start() -> ServingStack:
        cache = _OneBundle(folder / "cache", apogee_contract())
        cache.real = write_bundle(make_parts("linear"), folder / "bundle"), str(folder / "bundle")
        stack = build_stack(contract, sorted(policy.arms), Answered(contract), store, cache)
        await stack.follower.poll()
        return stack

    stack = loop.run_until_complete(start())
    api = build_api(stack, store.monitor_feed)
    app = build_app(stack, api, KEY, RequestCounts(), NO_TRACING, open_on_loopback=False)
    yield FuzzedSystem(contract, store, stack, app.asgi, orjson.loads(orjson.dumps(api.openapi())), loop)
    loop.run_until_complete(stack.close())
    loop.close()
    store.close()


def operations(document: dict[str, Any]) -> list[Any]:
    """The operations of an OpenAPI document."""
    found = schemathesis.openapi.from_dict(document).get_all_operations()
    return [one.ok() for one in found if isinstance(one, Ok)]


def fuzz(system: FuzzedSystem, examples: int) -> int:
    """Send so many right and so many wrong requests to each operation, each without the key too.

    Returns:
        How many were sent.
    """
    rules = _rules(examples)
    return sum(
        _fuzz_operation(system, operation, mode, rules)
        for operation in operations(system.document)
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        # some operations have nothing that could be wrong
        if mode is GenerationMode.POSITIVE or operation.body or list(operation.iter_parameters())
    )


def fuzz_examples(system: FuzzedSystem, examples: int) -> int:
    """Send so many bodies to each operation that are its documented example but for some part.

    Returns:
        How many were sent.
    """
    rules = settings(_rules(examples), phases=(Phase.generate,))
    sent = 0
    for operation in operations(system.document):
        if not operation.body:
            continue
        media = operation.definition.raw["requestBody"]["content"]["application/json"]
        path = operation.path.replace("{arm}", next(iter(system.stack.follower.arms)))

        request = {"method": operation.method, "url": f"http://test{path}", "headers": WITH_KEY}
        sent += _send_each(system, request, changed_bodies(media["example"]), rules)
    return sent


def _send_each(
    system: FuzzedSystem, request: dict[str, Any], bodies: st.SearchStrategy[bytes], rules: settings
) -> int:
    sent = 0

    @rules
    @given(body=bodies)
    def run(body: bytes) -> None:
        nonlocal sent
        sent += 1
        system.send(**request, content=body)

    run()
    return sent


# What has broken a parser, a column, a clock or a calendar.
EXTREMES: tuple[Any, ...] = (
    *(2**53, 2**63, -(2**63) - 1, 2**64, 10**400, 1e308, 5e-324, -0.0, math.nan, math.inf, -1, 0),
    *(
        "",
        "\x00",
        "a\x00b",
        "\ud800",
        "\u2028",
        "x" * 65,
        "x" * 5000,
        "\U0001f600" * 64,
        "%00",
        "../..",
        "null",
    ),
    *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2999-01-01T00:00:00Z", "1", "P1D", 1e18),
    *(None, True, [], {}, [[]], [None] * 300, {f"m{number}": number for number in range(300)}),
)


@st.composite
def changed_bodies(draw: st.DrawFn, example: Any) -> bytes:
    """The example as JSON with up to three parts changed, or bytes of it."""
    value = copy.deepcopy(example)
    for _ in range(draw(st.integers(1, 3))):
        value = _with_change(draw, value)
    body = json.dumps(value, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")
    kind = draw(st.sampled_from(["whole", "whole", "whole", "cut", "flipped", "marked", "wide"]))
    place = draw(st.integers(0, max(len(body) - 1, 0)))
    if kind == "cut":
        return body[:place]
    if kind == "flipped":
        return body[:place] + draw(st.binary(min_size=1, max_size=3)) + body[place + 1 :]
    if kind == "marked":
        return b"\xef\xbb\xbf" + body
    return body.decode(errors="replace").encode("utf-16") if kind == "wide" else body


def _with_change(draw: st.DrawFn, value: Any) -> Any:
    """The value with one part of it, however deep, replaced, left out or added to."""
    if isinstance(value, dict | list) and value and draw(st.integers(0, 3)):
        names = list(value) if isinstance(value, dict) else list(range(len(value)))
        name = draw(st.sampled_from(names))
        if not draw(st.integers(0, 4)):
            del value[name]
        elif isinstance(value, dict) and not draw(st.integers(0, 4)):
            value[str(draw(st.sampled_from(EXTREMES)))[:5000]] = value[name]
        else:
            value[name] = _with_change(draw, value[name])
        return value
    return copy.deepcopy(draw(st.sampled_from(EXTREMES)))


def _rules(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=examples <= FEW_EXAMPLES,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )


def _fuzz_operation(system: FuzzedSystem, operation: Any, mode: GenerationMode, rules: settings) -> int:
    sent = 0

    @rules
    @given(case=operation.as_strategy(mode))
    def run(case: Any) -> None:
        nonlocal sent
        request = _request(case)
        if request is None:
            return
        sent += 2
        assert system.send(**request).status_code == 401
        request["headers"] = request["headers"] | WITH_KEY
        response = system.send(**request)
        case.validate_response(response, checks=_CHECKS)

    # nothing that is sent to some operations can be wrong
    with suppress(Unsatisfiable):
        run()
    return sent


def _request(case: Any) -> dict[str, Any] | None:
    """Return a case as a request of httpx; None where no client can send it."""
    parts = case.as_transport_kwargs(base_url="http://test")
    request = {
        name: parts[name]
        for name in ("method", "url", "params", "headers", "json")
        if parts.get(name) is not None
    }
    if parts.get("data") is not None:
        request["content"] = parts["data"]
    request["headers"] = dict(parts.get("headers") or {})
    try:
        httpx.Request(**request)
    except (httpx.InvalidURL, UnicodeEncodeError, ValueError, TypeError):
        return None
    return request
