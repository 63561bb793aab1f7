"""One workload in the lifecycle controller's care: its champions go into service, arm by arm.

A swap is: load beside on every replica, check the golden inputs there, then flip the pointer in the
routing table. What is refused is an act in the store, with its reason, and the old version goes on serving.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Protocol

from deployments.domain.routing import ArmVersion, RoutingTable
from deployments.domain.served import Served
from deployments.lifecycle.bundle_cache import BundleCache
from deployments.lifecycle.swaps import Swap, plan_swaps
from deployments.store import Store
from training.runtime.errors import BundleError

log = logging.getLogger(__name__)

SCALER = "FeatureScaler"


class ApplicationUnavailable(RuntimeError):
    """The application of a workload is not there, or does not answer; it may come."""


class Replicas(Protocol):
    """The application of the workload, wherever it runs. Both raise `ApplicationUnavailable`."""

    async def served(self) -> Served:
        """What it serves now: another contract, perhaps, than before it was deployed again."""

    async def load(self, deployment: str, version: ArmVersion) -> int:
        """Load a version on all replicas of a deployment; how many there are.

        Raises:
            BundleError: a replica refuses the bundle.
        """


class Reconciler:
    """Keeps the routing table of one workload in step with its champions.

    Args:
        workload: its name.
        replicas: its application.
        champions: reads the version with the alias `champion` of each arm; called in a thread.
        store: where the routing table is.
        cache: folder of the bundle cache of this node.
        shadows: the version of each arm that is to get copies of its requests; None while nobody knows,
            and those that get some go on.
        registry_uri: of MLflow; bundles are fetched from it if it is a server.

    Attributes:
        refused: why replicas refuse bundles, by content hash.
    """

    def __init__(
        self,
        workload: str,
        replicas: Replicas,
        champions: Callable[[], Mapping[str, ArmVersion]],
        store: Store,
        cache: Path,
        shadows: Callable[[], Mapping[str, ArmVersion] | None] = dict,
        registry_uri: str = "",
    ) -> None:
        self.refused: dict[str, str] = {}
        self.workload = workload
        self._replicas = replicas
        self._champions = champions
        self._store = store
        self._cache = cache
        self._shadows = shadows
        self._registry_uri = registry_uri

    async def reconcile(self) -> RoutingTable | None:
        """One round: bring what is not in service yet into it. The table after; None where there is none.

        Raises:
            ApplicationUnavailable: there is nothing to bring it to.
        """
        # first, so that nothing is read, and MLflow not imported, while the replicas start
        served = await self._replicas.served()
        champions = await asyncio.to_thread(self._champions)
        table = await asyncio.to_thread(self._store.routing, self.workload)
        cache = BundleCache(self._cache, served.contract, self._registry_uri)
        for swap in plan_swaps(table.arms if table else {}, champions, served.arms, self.refused):
            if await self._loaded(swap, cache):
                await asyncio.to_thread(
                    self._store.put_arms, self.workload, {swap.arm: swap.new}, actor="steward"
                )
                log.info("arm swapped", extra=self._labels(swap))
        if table is not None:
            await self._shadow(table.shadows, served.arms, cache)
        return await asyncio.to_thread(self._store.routing, self.workload)

    async def _shadow(
        self, there: Mapping[str, ArmVersion], arms: Collection[str], cache: BundleCache
    ) -> None:
        """Bring the versions that are to get copies to their arms, and end those that are to get none."""
        wanted = self._shadows()
        if wanted is None:
            return
        changed: dict[str, ArmVersion | None] = {arm: None for arm in there if arm not in wanted}
        for swap in plan_swaps(there, wanted, arms, self.refused):
            if await self._loaded(swap, cache):
                changed[swap.arm] = swap.new
        if changed:
            await asyncio.to_thread(self._store.put_shadows, self.workload, changed, actor="steward")

    async def _loaded(self, swap: Swap, cache: BundleCache) -> bool:
        """Whether every replica has the new version now, loaded beside the others."""
        try:
            await asyncio.to_thread(cache.fetch, swap.new.bundle, swap.new.source)
            loaded = [await self._replicas.load(part, swap.new) for part in (SCALER, swap.arm)]
        except BundleError as error:
            await self._refuse(swap, str(error).strip().splitlines()[-1])
            return False
        except (OSError, ApplicationUnavailable) as error:
            log.warning("swap put off: %s", error, extra=self._labels(swap))
            return False
        return all(loaded)  # 0 where no replica is up yet; the next round finds one

    async def _refuse(self, swap: Swap, reason: str) -> None:
        """Leave the arm as it is, and say why once."""
        self.refused[swap.new.bundle] = reason
        log.warning("version refused: %s", reason, extra=self._labels(swap))
        detail = {"arm": swap.arm, "reason": reason, **swap.new.model_dump()}
        await asyncio.to_thread(
            self._store.record_audit_event, self.workload, "version_refused", "steward", detail
        )

    def _labels(self, swap: Swap) -> dict[str, str]:
        return {"workload": self.workload, "arm": swap.arm, "model_version": swap.new.model_version}
