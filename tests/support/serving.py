"""A `ServingStack` with real bundles and a real store in one process: everything but Serve."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Self

import httpx
import numpy as np
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.domain.downstream import DownstreamError
from deployments.domain.routing import ArmVersion, RoutingPolicy
from deployments.http.app import build_api, route_requests
from deployments.http.door.caller import HAS_KEY
from deployments.inference.coverage_levels import CoverageLevels
from deployments.inference.dispatcher import BatchPacing
from deployments.inference.stack import build_stack
from deployments.lifecycle.bundle_cache import BundleCache
from deployments.store import Store
from deployments.telemetry.tracing.api import NO_TRACING, Tracing
from scripts.replay.client import Connection, WorkloadClient
from tests.support.databases import empty_store
from tests.support.models import make_parts
from training.runtime.bundle import BundleParts, write_bundle
from training.runtime.inference import load_model
from training.runtime.tasks.base import ArmAnswer, add_scores

ARMS = ("linear", "mlp", "random_forest")
POLICY = RoutingPolicy(weights={"mlp": 3, "linear": 1, "random_forest": 1}, fallback=ARMS)


class LocalDownstream:
    """Scaler and arm by plain calls.

    Attributes:
        down: arms that do not answer.
        before_call: is awaited before each call.
    """

    def __init__(self, cache: BundleCache, levels: CoverageLevels | None = None) -> None:
        self.down: set[str] = set()
        self.before_call: Callable[[], Awaitable[object]] = _at_once
        # once a version, as a replica does
        self._model = lru_cache(lambda bundle, source: load_model(cache.fetch(bundle, source)))
        self._levels = levels or CoverageLevels()

    async def __call__(
        self, arm: str, version: ArmVersion, raw: NDArray[np.float64], trace: str | None = None
    ) -> Sequence[ArmAnswer]:
        await self.before_call()
        if arm in self.down:
            raise DownstreamError(f"{arm} is down")
        model = self._model(version.bundle, version.source)
        scaled = model.scaler.transform(raw)
        level = self._levels.level(arm, version.bundle)
        answers = model.arm.task.answers(model.arm.predict(scaled, level), model.arm.coverage)
        return add_scores(answers, model.scaler.outliers.score(scaled.matrix), level)


async def _at_once() -> None:
    """Wait for nothing."""


@dataclass(frozen=True)
class LocalConnection(Connection):
    app: Starlette

    def open(
        self, connections: int = 16, transport: httpx.AsyncBaseTransport | None = None
    ) -> httpx.AsyncClient:
        return super().open(connections, httpx.ASGITransport(self.app))


class LocalSystem:
    """One workload with an arm version each, its store and its cache under `folder`; a context closes it.

    Args:
        folder: for all that it writes.
        make: the bundle of an arm, from its name and number; apogee's unless told.
        store_url: of the store; one under `folder` unless told.
        pacing: of batches.
        tracing: of the requests.
    """

    def __init__(
        self,
        folder: Path,
        make: Callable[[str, int], BundleParts] = make_parts,
        store_url: str | None = None,
        pacing: BatchPacing | None = None,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self.parts = {arm: make(arm, number) for number, arm in enumerate(ARMS)}
        self.contract = self.parts[ARMS[0]].contract
        self.store = Store(store_url or empty_store(folder))
        self.cache = BundleCache(folder / "cache", self.contract)
        levels = CoverageLevels(partial(self.store.monitor_feed.levels, self.contract.workload))
        self.downstream = LocalDownstream(self.cache, levels)
        self.versions = {arm: self._version(folder, arm) for arm in ARMS}
        self.store.seed_policy(self.contract.workload, POLICY)
        self.store.put_arms(self.contract.workload, self.versions)
        self.stack = build_stack(
            self.contract,
            ARMS,
            self.downstream,
            self.store,
            self.cache,
            levels=levels,
            pacing=pacing,
            tracing=tracing,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()

    @cached_property
    def app(self) -> ASGIApp:
        """The routes of the workload as a router replica has them, behind its key."""
        routes = route_requests(self.stack.service, build_api(self.stack))

        async def shown_the_key(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault(HAS_KEY, True)
            await routes(scope, receive, send)

        return shown_the_key

    @property
    def connection(self) -> Connection:
        """To this service instead of over the network."""
        app = Starlette(routes=[Mount(f"/{self.contract.workload}", self.app)])
        return LocalConnection("http://system", None, app)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[WorkloadClient]:
        """The client of the commands, as if the service ran; the journal is written afterwards."""
        await self.stack.follower.poll()
        async with self.connection.open() as http:
            yield WorkloadClient(http, self.contract.workload, self.contract.target)
        await self.stack.close()

    @asynccontextmanager
    async def http(self) -> AsyncIterator[httpx.AsyncClient]:
        """Plain HTTP on the routes of the workload; the journal is written afterwards."""
        await self.stack.follower.poll()
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client
        await self.stack.close()

    def _version(self, folder: Path, arm: str) -> ArmVersion:
        path = folder / "bundles" / arm
        bundle = write_bundle(self.parts[arm], path)
        return ArmVersion(model_version="1", bundle=bundle, source=str(path))
