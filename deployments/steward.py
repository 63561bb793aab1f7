"""The Steward: one a workload. Watches the registry and brings new champions into service without a pause.

A swap is: load beside on every replica, check the golden inputs there, then flip the pointer in the
routing table. What is refused is an act in the store, with its reason, and the old version goes on serving.
"""

from __future__ import annotations

import asyncio
import logging

from ray.exceptions import RayError
from ray.serve.handle import DeploymentHandle

from deployments.logs import configure_log_file
from deployments.model_cache import BundleCache
from deployments.routing import ArmVersion
from deployments.store import Store
from deployments.sync import Swap, plan_swaps
from deployments.versioned import ReplicaOptions
from training.errors import BundleError
from training.settings import Settings

log = logging.getLogger(__name__)

WATCH_PERIOD_S = 2.0
LOAD_TIMEOUT_S = 120.0


class Steward:
    """Keeps the routing table in step with the registry's `champion` aliases."""

    def __init__(
        self,
        options: ReplicaOptions,
        settings: Settings,
        scaler: DeploymentHandle,
        arms: dict[str, DeploymentHandle],
    ) -> None:
        configure_log_file(options.logs, f"{options.contract.workload}-steward")
        self._workload = options.contract.workload
        self._settings = settings
        self._scaler = scaler
        self._arms = arms
        self._store = Store(options.store_url)
        self._cache = BundleCache(options.cache, options.contract)
        self._refused: set[str] = set()
        self._task = asyncio.create_task(self._watch())

    def check_health(self) -> None:
        """Serve restarts the Steward when its watch has ended."""
        if self._task.done():
            raise RuntimeError(f"the watch ended: {self._task.exception()!r}")

    async def _watch(self) -> None:
        from training.registry import Registry  # MLflow takes seconds to import: not while replicas start

        registry = await asyncio.to_thread(Registry, self._settings)
        while True:
            try:
                champions = await asyncio.to_thread(registry.champions, self._workload)
                await self._sync(
                    {
                        arm: ArmVersion(model_version=v.version, bundle=v.bundle, source=v.source)
                        for arm, v in champions.items()
                    }
                )
            except Exception:
                # the registry or the store is away: serving goes on with the table that it has
                log.exception("registry not read", extra={"workload": self._workload})
            await asyncio.sleep(WATCH_PERIOD_S)

    async def _sync(self, champions: dict[str, ArmVersion]) -> None:
        table = await asyncio.to_thread(self._store.routing, self._workload)
        serving = table.arms if table else {}
        for swap in plan_swaps(serving, champions, list(self._arms), self._refused):
            await self._swap(swap)

    async def _swap(self, swap: Swap) -> None:
        try:
            await asyncio.to_thread(self._cache.fetch, swap.new.bundle, swap.new.source)
            replicas = await self._load_everywhere(swap)
        except BundleError as error:
            await self._refuse(swap, str(error).strip().splitlines()[-1])
            return
        except (OSError, RayError) as error:
            log.warning("swap put off: %s", error, extra=_labels(self._workload, swap))
            return
        if replicas == 0:
            return  # no replica is up yet; the next round finds one
        await asyncio.to_thread(self._store.put_arms, self._workload, {swap.arm: swap.new}, actor="steward")
        log.info("arm swapped", extra=_labels(self._workload, swap) | {"replicas": replicas})

    async def _load_everywhere(self, swap: Swap) -> int:
        """Load on every replica of the scaler and the arm; how many did, 0 if either has none."""
        loaded = [
            await handle.broadcast("load", swap.new).results_async(timeout_s=LOAD_TIMEOUT_S)
            for handle in (self._scaler, self._arms[swap.arm])
        ]
        return sum(map(len, loaded)) if all(loaded) else 0

    async def _refuse(self, swap: Swap, reason: str) -> None:
        """Leave the arm as it is, and say why once."""
        self._refused.add(swap.new.bundle)
        log.warning("version refused: %s", reason, extra=_labels(self._workload, swap))
        detail = {"arm": swap.arm, "reason": reason, **swap.new.model_dump()}
        await asyncio.to_thread(self._store.record_act, self._workload, "version_refused", "steward", detail)


def _labels(workload: str, swap: Swap) -> dict[str, str]:
    return {"workload": workload, "arm": swap.arm, "model_version": swap.new.model_version}
