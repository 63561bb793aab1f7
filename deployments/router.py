"""The Router: the ingress of a workload. A `Service` in a Serve replica, the arms behind Serve handles."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from ray import serve
from ray.serve.handle import DeploymentHandle
from ray.util.metrics import Counter
from starlette.types import ASGIApp

from deployments.api import build_api
from deployments.auth import KeyGuard
from deployments.counts_export import CountsExport
from deployments.downstream import ServeDownstream
from deployments.front import Front
from deployments.levels import Levels
from deployments.logs import configure_log_file
from deployments.memory import search_less_for_garbage
from deployments.model_cache import BundleCache
from deployments.peers import Peers
from deployments.refusals import Refusals
from deployments.service import Service
from deployments.store import Store
from deployments.versioned import ReplicaOptions
from deployments.ward import Served
from features.workload import load_workload
from training.tasks.factory import task_of

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
        steward: DeploymentHandle | None,
    ) -> None:
        del steward  # bound here, if there is one, so that it is part of the application
        contract = options.contract
        configure_log_file(options.logs, f"{contract.workload}-router")
        self._api_key = api_key
        self._open_on_loopback = open_on_loopback
        store = Store(options.store_url)
        self._watched = store.watching
        levels = Levels(partial(store.watching.levels, contract.workload))
        self.service = Service(
            contract,
            arms,
            ServeDownstream(task_of(contract, load_workload(contract)), scaler, levels),
            store,
            BundleCache(options.cache, contract, options.registry_uri),
            levels=levels,
        )
        self._peers = Peers("Router", contract.workload, "waiting_here")
        self.service.adopt()
        self._following = asyncio.create_task(self.service.follow())
        self._exporting = asyncio.create_task(_export(self.service))
        self._counting: asyncio.Task[None] | None = None

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Called by Serve after the constructor."""
        front = Front(build_api(self.service, self._watched, self.waiting_for), self.service)
        refusals = Refusals(front, self.service.contract.workload, self._watched)
        self._counting = asyncio.create_task(refusals.follow())
        search_less_for_garbage()
        return KeyGuard(refusals, self._api_key, open_on_loopback=self._open_on_loopback)

    async def waiting_for(self) -> tuple[str, ...]:
        """Arms that do not answer every replica yet, for the root application."""
        waiting = await self._peers.arms() | set(self.service.waiting_for)
        return tuple(arm for arm in self.service.arms if arm in waiting)

    async def waiting_here(self) -> tuple[str, ...]:
        """Arms that do not answer this replica yet, for the others."""
        return self.service.waiting_for

    async def served(self) -> Served:
        """What this application serves, for the Steward."""
        return Served(self.service.contract, self.service.arms)

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
        if self._counting is not None:
            self._counting.cancel()
        await self.service.close()


async def _export(service: Service) -> None:
    """What Prometheus is told, for ever."""
    tags = ("workload", "arm")
    told = {
        "predictions": (service.counts.predictions, "Instances answered."),
        "outliers": (service.counts.outliers, "Of them, those farther out than all of the reference."),
        "cache_hits": (service.cache.hits, "Answers that the cache had."),
        "cache_misses": (service.cache.misses, "Answers that it was asked for and did not have."),
        "shadow_answers": (service.shadowing.answers, "Answers that the shadow of an arm was asked for too."),
        "shadow_dropped": (service.shadowing.dropped, "Answers that it was not asked for, or failed at."),
        "shadow_failures": (service.shadowing.failures, "Calls of a shadow that failed."),
    }
    pairs = [(counted, Counter(f"raysonde_{name}", text, tags)) for name, (counted, text) in told.items()]
    truths = Counter("raysonde_truths", "Truths taken, by what became of them.", ("workload", "outcome"))
    exports = (
        CountsExport(service.contract.workload, pairs),
        CountsExport(service.contract.workload, [(service.truths.outcomes, truths)], tag="outcome"),
    )
    while True:
        try:
            for counts in exports:
                counts.export()
        except Exception:
            log.exception("counts not exported", extra={"workload": service.contract.workload})
        await asyncio.sleep(EXPORT_PERIOD_S)
