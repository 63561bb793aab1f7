"""The common part of scaler and arms: they serve several bundle versions, and load while they serve."""

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

from deployments.actors.autoscaling import CALLS_IN_FLIGHT, IDLE_PROCESSORS
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
from deployments.runtime.cpu import IdleCpuMeter, read_cpu_usage
from deployments.runtime.logs import configure_log_file, silence_serve_access_log
from deployments.store import Store
from features.contract import Contract
from training.runtime.bundle import Bundle
from training.runtime.environment import Environment
from training.runtime.errors import BundleError
from training.runtime.private_files import make_files_private

Runtime = TypeVar("Runtime")
Result = TypeVar("Result")
log = logging.getLogger(__name__)

# Below this a batch takes less time than handing it to a thread does.
INLINE_ROWS = 64


@dataclass(frozen=True)
class ReplicaOptions:
    """The options by which a replica finds its bundles.

    Attributes:
        contract: of the workload.
        cache: folder of the bundle cache on this node.
        logs: folder of the JSON log files.
        store_url: SQLAlchemy URL of the store.
        registry_uri: of MLflow; bundles are fetched from it if it is a server.
        bind_address: returns the address of a replica's node, on which others call it directly; None: they
            call it through Serve alone.
    """

    contract: Contract
    cache: Path
    logs: Path
    store_url: str
    registry_uri: str = ""
    bind_address: Callable[[], str] | None = None


class VersionedReplica(Generic[Runtime]):
    """A replica with a runtime per bundle version; it begins with the versions of the routing table.

    Args:
        options: where the bundles and the table are.
        start: makes the runtime of a bundle and checks it on the golden inputs.
        answer: the method of the subclass that other replicas call.
        arm: load the versions of this arm only; None for all.

    Attributes:
        tracing: of the calls.
        in_flight: entered by each call for predictions.
    """

    def __init__(
        self,
        options: ReplicaOptions,
        start: Callable[[Bundle], Runtime],
        answer: Callable[..., Awaitable[Any]],
        arm: str | None = None,
    ) -> None:
        part = arm or "scaler"
        make_files_private()
        configure_log_file(options.logs, f"{options.contract.workload}-{part}")
        silence_serve_access_log()
        self.tracing = open_tracing_if_wanted(Environment.read(), options.contract.workload, part)
        self._log_labels = {"workload": options.contract.workload, "arm": arm}
        self.in_flight = ConcurrencyMeter(time.monotonic)
        self._idle = IdleCpuMeter(time.monotonic, read_cpu_usage)
        self._bind_address = options.bind_address
        self._server = RpcServer(answer)
        cache = BundleCache(options.cache, options.contract, options.registry_uri)
        self._versions = WarmVersions(cache, start, WARM_VERSIONS if arm is None else WARM_VERSIONS_OF_AN_ARM)
        with closing(Store(options.store_url)) as store:
            table = store.routing(options.contract.workload)
        for name, version in table.warm if table else ():
            if arm in (None, name):
                self._try_load(version)

    async def load(self, version: ArmVersion) -> int:
        """Load a version beside the ones in use, and return this replica's process id.

        Raises:
            BundleError: the bundle does not have its hash, or fails its golden inputs.
        """
        await asyncio.to_thread(self._versions.load, version.bundle, version.source)
        return os.getpid()

    async def address(self) -> Address | None:
        """Return the address for direct calls; None if there are none."""
        return None if self._bind_address is None else await self._server.address(self._bind_address())

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Return the metrics that Serve hands to `deployments.actors.autoscaling`."""
        return {CALLS_IN_FLIGHT: self.in_flight.mean(), IDLE_PROCESSORS: self._idle.mean()}

    def __del__(self) -> None:
        """Close the server and the tracing; Serve calls this when it stops the replica."""
        self._server.close()
        self.tracing.close()

    def _try_load(self, version: ArmVersion) -> None:
        """Load at start, if possible: one bad version must not keep the others from being served."""
        try:
            self._versions.load(version.bundle, version.source)
        except (BundleError, OSError):
            log.exception("the bundle cannot be loaded at start", extra=self._labels(version))

    async def run(self, version: ArmVersion, rows: int, compute: Callable[[Runtime], Result]) -> Result:
        """Run `compute` on that version, off the event loop when `rows` are many."""
        runtime = self._versions.warm(version.bundle)
        if runtime is None:
            # versions are loaded before the table changes, so only a replica younger than both comes here
            log.warning("the bundle is loaded on demand", extra=self._labels(version))
            runtime = await asyncio.to_thread(self._versions.load, version.bundle, version.source)
        if rows <= INLINE_ROWS:
            return compute(runtime)
        return await asyncio.to_thread(compute, runtime)

    def _labels(self, version: ArmVersion) -> dict[str, str | None]:
        return {**self._log_labels, "model_version": version.model_version, "bundle": version.bundle}
