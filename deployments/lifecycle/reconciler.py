"""Keeps the routing table of one workload in step with its registry, and its promotions going.

A swap is: load beside on every replica, check the golden inputs there, then flip the pointer in the routing
table. A version that is refused is an audit event in the store, with its reason, and the old one goes on; the
routing table says so, and the version is tried again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from deployments.domain.audit import LIFECYCLE_CONTROLLER
from deployments.domain.routing import ArmVersion, RoutingTable
from deployments.domain.served import Served
from deployments.lifecycle.bundle_cache import stamp_of
from deployments.lifecycle.held_back import Deferral, held_back
from deployments.lifecycle.observation import Aliases, OpenPromotions, VersionObservation
from deployments.lifecycle.promotion_controller import PromotionController, Versions
from deployments.lifecycle.refusals import Refusals
from deployments.lifecycle.swaps import ShadowChange, Swap, decide_swaps
from deployments.lifecycle.version_loader import Replicas, VersionLoader
from deployments.runtime.logs import RepeatedErrors
from deployments.store import Store
from features.contract import Contract

log = logging.getLogger(__name__)


class Reconciler:
    """A reconciler of the versions of one workload.

    Args:
        workload: its name.
        replicas: its application.
        versions: its part of the registry; read in a thread.
        store: where the routing table is.
        cache: folder of the bundle cache of this node.
        make_promotions: makes the controller of its promotions, in a thread, once the workload is served;
            called again in the next round where it raises.
        clock: UTC time.
        registry_uri: of MLflow; bundles are fetched from it if it is a server.
        monotonic: seconds, for the intervals at which refused bundles are tried again.
    """

    def __init__(
        self,
        workload: str,
        replicas: Replicas,
        versions: Versions,
        store: Store,
        cache: Path,
        make_promotions: Callable[[], PromotionController],
        clock: Callable[[], datetime],
        registry_uri: str = "",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.workload = workload
        self._replicas = replicas
        self._loader = VersionLoader(replicas, cache, registry_uri)
        self._versions = versions
        self._store = store
        self._make_promotions = make_promotions
        self._clock = clock
        self._promotions: PromotionController | None = None
        self._refusals = Refusals(monotonic, stamp_of)
        self._deferrals: dict[str, Deferral] = {}
        self._observing = RepeatedErrors(log, "promotions not observed", workload=workload)

    async def reconcile(self) -> RoutingTable | None:
        """Bring versions into service, then promotions a step on; return the routing table between the two.

        Promotions are decided on an observation that is younger than the last swap.

        Raises:
            ApplicationUnavailable: there is nothing to bring a version to.
        """
        seen = await self._observe()
        if swaps := decide_swaps(seen):
            for action in swaps:
                await self._act(action, seen.served.contract)
            seen = await self._observe()
        await asyncio.to_thread(self._tell_what_is_held_back, seen)
        if self._promotions is not None:
            await asyncio.to_thread(self._promotions.reconcile, seen)
        return seen.table

    async def _observe(self) -> VersionObservation:
        # first, so that nothing is read, and MLflow not imported, while the replicas start
        served = await self._replicas.served()
        return await asyncio.to_thread(self._read, served)

    def _read(self, served: Served) -> VersionObservation:
        aliases = self._versions.read()
        table = self._store.routing(self.workload)
        return VersionObservation(
            now=self._clock(),
            served=served,
            aliases=aliases,
            table=table,
            refused=self._refusals.standing(),
            promotions=None if table is None else self._open_promotions(aliases),
        )

    def _open_promotions(self, aliases: Aliases) -> OpenPromotions | None:
        try:
            if self._promotions is None:
                self._promotions = self._make_promotions()
            observed = self._promotions.observe(aliases)
        except Exception as error:  # noqa: BLE001 - champions come into service all the same
            self._observing.failed(error)
            return None
        self._observing.passed()
        return observed

    def _tell_what_is_held_back(self, seen: VersionObservation) -> None:
        """Write to the routing table, for whoever looks there, which champions do not serve."""
        if seen.table is None:
            return
        now_so = held_back(seen, self._refusals.reasons(), self._deferrals)
        if now_so != seen.table.held_back:
            self._store.put_held_back(self.workload, now_so, actor=LIFECYCLE_CONTROLLER)

    async def _act(self, action: Swap | ShadowChange, contract: Contract) -> None:
        """Load what is not loaded yet, then write the routing table."""
        if isinstance(action, Swap):
            if await self._load(action, contract):
                await asyncio.to_thread(
                    self._store.put_arms, self.workload, {action.arm: action.new}, actor=LIFECYCLE_CONTROLLER
                )
                log.info("arm swapped", extra=self._labels(action))
            return
        changed: dict[str, ArmVersion | None] = dict.fromkeys(action.ended)
        changed |= {swap.arm: swap.new for swap in action.swaps if await self._load(swap, contract)}
        if changed:
            await asyncio.to_thread(
                self._store.put_shadows, self.workload, changed, actor=LIFECYCLE_CONTROLLER
            )

    async def _load(self, swap: Swap, contract: Contract) -> bool:
        """Return whether every replica has the new version now, loaded beside the others."""
        if self._refusals.stands(swap.new.bundle):
            return False  # as the version of another swap of this round
        outcome = await self._loader.load(contract, swap.arm, swap.new)
        if outcome.status == "refused":
            await self._refuse(swap, outcome.reason)
        elif outcome.status == "deferred":
            self._defer(swap, outcome.reason)
        else:
            self._refusals.remove(swap.new.bundle)
            self._deferrals.pop(swap.arm, None)
        return outcome.status == "loaded"

    def _defer(self, swap: Swap, reason: str) -> None:
        """Leave the arm as it is until a later round, and log that once."""
        last = self._deferrals.get(swap.arm)
        if last is not None and last.version == swap.new:
            return
        self._deferrals[swap.arm] = Deferral(swap.new, self._clock(), reason or "no replica is up")
        if reason:
            log.warning("swap put off: %s", reason, extra=self._labels(swap))

    async def _refuse(self, swap: Swap, reason: str) -> None:
        """Leave the arm as it is, and record why once."""
        self._deferrals.pop(swap.arm, None)
        if not await asyncio.to_thread(self._refusals.add, swap.new, reason):
            return
        log.warning("version refused: %s", reason, extra=self._labels(swap))
        detail = {"arm": swap.arm, "reason": reason, **swap.new.model_dump()}
        await asyncio.to_thread(
            self._store.record_audit_event, self.workload, "version_refused", LIFECYCLE_CONTROLLER, detail
        )

    def _labels(self, swap: Swap) -> dict[str, str]:
        return {"workload": self.workload, "arm": swap.arm, "model_version": swap.new.model_version}
