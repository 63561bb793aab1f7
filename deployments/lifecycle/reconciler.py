"""Keeps the routing table of one workload in step with its registry, and its promotions going.

A swap is: load beside on every replica, check the golden inputs there, then flip the pointer in the routing
table. A version that is refused is an audit event in the store, with its reason, and the old one goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from deployments.domain.audit import LIFECYCLE_CONTROLLER
from deployments.domain.routing import ArmVersion, RoutingTable
from deployments.domain.served import Served
from deployments.lifecycle.observation import Aliases, OpenPromotions, VersionObservation
from deployments.lifecycle.promotion_controller import PromotionController, Versions
from deployments.lifecycle.swaps import ShadowChange, Swap, decide_swaps
from deployments.lifecycle.version_loader import Replicas, VersionLoader
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
    ) -> None:
        self.workload = workload
        self._replicas = replicas
        self._loader = VersionLoader(replicas, cache, registry_uri)
        self._versions = versions
        self._store = store
        self._make_promotions = make_promotions
        self._clock = clock
        self._promotions: PromotionController | None = None
        # replaced and never changed, so that an observation holds what was so when it was made
        self._refused: Mapping[str, str] = {}

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
            refused=self._refused,
            promotions=None if table is None else self._open_promotions(aliases),
        )

    def _open_promotions(self, aliases: Aliases) -> OpenPromotions | None:
        try:
            if self._promotions is None:
                self._promotions = self._make_promotions()
            return self._promotions.observe(aliases)
        except Exception:
            # champions come into service all the same
            log.exception("promotions not observed", extra={"workload": self.workload})
            return None

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
        if swap.new.bundle in self._refused:
            return False  # as the version of another swap of this round
        outcome = await self._loader.load(contract, swap.arm, swap.new)
        if outcome.status == "refused":
            await self._refuse(swap, outcome.reason)
        elif outcome.reason:
            log.warning("swap put off: %s", outcome.reason, extra=self._labels(swap))
        return outcome.status == "loaded"

    async def _refuse(self, swap: Swap, reason: str) -> None:
        """Leave the arm as it is, and record why once."""
        self._refused = {**self._refused, swap.new.bundle: reason}
        log.warning("version refused: %s", reason, extra=self._labels(swap))
        detail = {"arm": swap.arm, "reason": reason, **swap.new.model_dump()}
        await asyncio.to_thread(
            self._store.record_audit_event, self.workload, "version_refused", LIFECYCLE_CONTROLLER, detail
        )

    def _labels(self, swap: Swap) -> dict[str, str]:
        return {"workload": self.workload, "arm": swap.arm, "model_version": swap.new.model_version}
