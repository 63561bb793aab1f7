"""What the scaler and the arms have in common: they serve several bundle versions and load beside serving."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from deployments.actors.autoscaling import CALLS_UNDER_WAY, IDLE_PROCESSORS
from deployments.actors.tracing import open_tracing_if_wanted
from deployments.domain.routing import ArmVersion
from deployments.lifecycle.bundle_cache import (
    WARM_VERSIONS,
    WARM_VERSIONS_OF_AN_ARM,
    BundleCache,
    WarmVersions,
)
from deployments.rpc.server import Address, RpcServer
from deployments.runtime.concurrency import ConcurrencyMeter
from deployments.runtime.cpu import IdleCpuMeter, used_processors
from deployments.runtime.logs import configure_log_file, leave_out_calls_of_serve
from deployments.store import Store
from features.contract import Contract
from training.runtime.bundle import Bundle
from training.runtime.environment import Environment
from training.runtime.errors import BundleError

Runtime = TypeVar("Runtime")
Result = TypeVar("Result")
log = logging.getLogger(__name__)

# Below this a batch takes less time than handing it to a thread does.
INLINE_ROWS = 64


@dataclass(frozen=True)
class ReplicaOptions:
    """What a replica needs to find its bundles.

    Attributes:
        contract: what is served.
        cache: folder of the bundle cache on this node.
        logs: folder of the JSON log files.
        store_url: SQLAlchemy URL of the store.
        registry_uri: of MLflow; bundles are fetched from it if it is a server.
        host: tells a replica the address of its node, where others call it directly; None: they call it
            through Serve alone.
    """

    contract: Contract
    cache: Path
    logs: Path
    store_url: str
    registry_uri: str = ""
    host: Callable[[], str] | None = None


class VersionedReplica(Generic[Runtime]):
    """Holds a runtime per bundle version. A replica that starts late loads what the routing table names.

    Args:
        options: where the bundles and the table are.
        start: makes the runtime of a bundle and checks it against the golden inputs.
        answer: what other replicas call, of the subclass.
        arm: load the versions of this arm only; None for all.

    Attributes:
        tracing: of the calls that are traced.
        under_way: entered by each call for predictions.
    """

    def __init__(
        self,
        options: ReplicaOptions,
        start: Callable[[Bundle], Runtime],
        answer: Callable[..., Awaitable[Any]],
        arm: str | None = None,
    ) -> None:
        part = arm or "scaler"
        configure_log_file(options.logs, f"{options.contract.workload}-{part}")
        leave_out_calls_of_serve()
        self.tracing = open_tracing_if_wanted(Environment.read(), options.contract.workload, part)
        self._told = {"workload": options.contract.workload, "arm": arm}
        self.under_way = ConcurrencyMeter(time.monotonic)
        self._idle = IdleCpuMeter(time.monotonic, used_processors)
        self._host = options.host
        self._listener = RpcServer(answer)
        cache = BundleCache(options.cache, options.contract, options.registry_uri)
        self._versions = WarmVersions(cache, start, WARM_VERSIONS if arm is None else WARM_VERSIONS_OF_AN_ARM)
        with closing(Store(options.store_url)) as store:
            table = store.routing(options.contract.workload)
        for name, version in table.warm if table else ():
            if arm in (None, name):
                self._try_load(version)

    async def load(self, version: ArmVersion) -> int:
        """Load a version beside the ones in use; answers with this replica's process id.

        Raises:
            BundleError: the bundle is not what its hash says, or fails its golden inputs.
        """
        await asyncio.to_thread(self._versions.load, version.bundle, version.source)
        return os.getpid()

    async def address(self) -> Address | None:
        """Where this replica is called directly, for those that may; None if it is not."""
        return None if self._host is None else await self._listener.address(self._host())

    def record_autoscaling_stats(self) -> dict[str, float]:
        """What Serve asks for, and hands to `deployments.actors.autoscaling`."""
        return {CALLS_UNDER_WAY: self.under_way.mean(), IDLE_PROCESSORS: self._idle.mean()}

    def __del__(self) -> None:
        """Serve calls this when it stops the replica."""
        self._listener.close()
        self.tracing.close()

    def _try_load(self, version: ArmVersion) -> None:
        """Load at start, if possible: one bad version must not keep the others from being served."""
        try:
            self._versions.load(version.bundle, version.source)
        except (BundleError, OSError):
            log.exception("bundle not loaded at start", extra=self._labels(version))

    async def run(self, version: ArmVersion, rows: int, compute: Callable[[Runtime], Result]) -> Result:
        """Run `compute` on that version, off the event loop when `rows` are many."""
        runtime = self._versions.warm(version.bundle)
        if runtime is None:
            # versions are loaded before the table is flipped, so only a replica younger than both comes here
            log.warning("bundle loaded on demand", extra=self._labels(version))
            runtime = await asyncio.to_thread(self._versions.load, version.bundle, version.source)
        if rows <= INLINE_ROWS:
            return compute(runtime)
        return await asyncio.to_thread(compute, runtime)

    def _labels(self, version: ArmVersion) -> dict[str, str | None]:
        return {**self._told, "model_version": version.model_version, "bundle": version.bundle}
