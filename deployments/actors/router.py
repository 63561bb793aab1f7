"""The Router, ingress of a workload: a `ServingStack` in a Serve replica, the arms behind handles."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from ray import serve
from ray.serve.handle import DeploymentHandle
from ray.util.metrics import Counter
from starlette.types import ASGIApp

from deployments.actors import router_metrics
from deployments.actors.base import ReplicaOptions
from deployments.actors.broadcast import ReplicaBroadcast
from deployments.actors.tracing import open_tracing_if_wanted
from deployments.domain.served import Served
from deployments.http.app import WorkloadApp, build_api, build_app
from deployments.http.rejections import RejectionRecorder
from deployments.http.request_metrics import RequestCounts
from deployments.inference.coverage_levels import CoverageLevels
from deployments.inference.model_client import ModelClient
from deployments.inference.stack import build_stack
from deployments.lifecycle.bundle_cache import BundleCache
from deployments.rpc.client import RpcClient
from deployments.runtime.logs import configure_log_file, silence_serve_access_log
from deployments.runtime.process_memory import collect_and_trim_regularly, relax_gc
from deployments.store import Store
from deployments.telemetry.metrics.export import EXPORTED, CountsExport
from deployments.telemetry.metrics.samples import ReplicaSamples, Samples
from features.workload import load_workload
from training.runtime.environment import Environment
from training.runtime.private_files import make_files_private
from training.runtime.tasks.factory import make_task

log = logging.getLogger(__name__)

EXPORT_PERIOD_S = 1.0


@serve.ingress()
class Router:
    """Replicated. Every replica follows the routing table in the store by itself."""

    def __init__(
        self,
        options: ReplicaOptions,
        api_key: str,
        open_on_loopback: bool,
        scaler: DeploymentHandle,
        arms: tuple[str, ...],
        lifecycle_controller: DeploymentHandle | None,
    ) -> None:
        del lifecycle_controller  # bound here, if there is one, so that it is part of the application
        contract = options.contract
        make_files_private()
        configure_log_file(options.logs, f"{contract.workload}-router")
        silence_serve_access_log()
        self._tracing = open_tracing_if_wanted(Environment.read(), contract.workload, "router")
        self._api_key = api_key
        self._open_on_loopback = open_on_loopback
        store = Store(options.store_url)
        self._monitor_feed = store.monitor_feed
        levels = CoverageLevels(partial(store.monitor_feed.levels, contract.workload))
        self._scaler = RpcClient(scaler, "predict", is_direct=options.bind_address is not None)
        self.stack = build_stack(
            contract,
            arms,
            ModelClient(make_task(contract, load_workload(contract)), self._scaler, levels),
            store,
            BundleCache(options.cache, contract, options.registry_uri),
            levels=levels,
            tracing=self._tracing,
        )
        self._requests = RequestCounts()
        self._peers = ReplicaBroadcast("Router", contract.workload)
        self.stack.follower.adopt()
        self._following = asyncio.create_task(self.stack.follower.follow())
        self._exporting = asyncio.create_task(_export(contract.workload, self._read))
        self._tidying = asyncio.create_task(collect_and_trim_regularly())
        self._counting: asyncio.Task[None] | None = None
        self._app: WorkloadApp | None = None

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Return the ASGI application; Serve calls this after the constructor."""
        rejections = RejectionRecorder(self._requests, self.stack.contract.workload, self._monitor_feed)
        self._counting = asyncio.create_task(rejections.follow())
        relax_gc()
        self._app = build_app(
            self.stack,
            build_api(self.stack, self._monitor_feed, self.waiting_for),
            self._api_key,
            self._requests,
            self._tracing,
            open_on_loopback=self._open_on_loopback,
        )
        return self._app.asgi

    async def waiting_for(self) -> tuple[str, ...]:
        """Return the arms that do not answer every replica yet, for the root application."""
        # those that are well serve when the others cannot be asked
        waiting = {arm for arms in await self._peers.call("waiting_here") for arm in arms}
        waiting |= set(self.stack.follower.waiting_for)
        return tuple(arm for arm in self.stack.follower.arms if arm in waiting)

    async def waiting_here(self) -> tuple[str, ...]:
        """Return the arms that do not answer this replica yet, for the others."""
        return self.stack.follower.waiting_for

    async def ready_here(self) -> bool:
        """Return whether this replica answers predictions, for the root application."""
        return await self.stack.probe()

    async def metrics_here(self) -> ReplicaSamples:
        """Return the metrics of this replica, for the root application."""
        return ReplicaSamples(serve.get_replica_context().replica_tag, self._read())

    async def served(self) -> Served:
        """Return the contract and the arms, for the lifecycle controller."""
        return Served(self.stack.contract, self.stack.follower.arms)

    def _read(self) -> Samples:
        return router_metrics.router_samples(self.stack, self._requests, self._scaler.calls_by_path)

    def check_health(self) -> None:
        """Serve replaces a replica that no longer follows the table."""
        if self._following.done():
            raise RuntimeError(
                f"the replica no longer follows the routing table: {self._following.exception()!r}"
            )

    async def __del__(self) -> None:
        """Serve awaits this when it stops the replica."""
        self._following.cancel()
        self._exporting.cancel()
        self._tidying.cancel()
        if self._counting is not None:
            self._counting.cancel()
        if self._app is not None:
            self._app.error_log.flush()
        await self.stack.close()
        self._scaler.close()
        await asyncio.to_thread(self._tracing.close)


async def _export(workload: str, read: Callable[[], Samples]) -> None:
    """Give Ray's exporter the counts, for ever."""
    counters = {
        metric.name: Counter(metric.name.removesuffix("_total"), metric.help, ("workload", *metric.labels))
        for metric in EXPORTED
    }
    export = CountsExport(workload, counters)
    while True:
        try:
            export.export(read())
        except Exception:
            log.exception("counts not exported", extra={"workload": workload})
        await asyncio.sleep(EXPORT_PERIOD_S)
