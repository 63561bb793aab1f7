"""The Steward: one for many workloads. Brings new champions into service, and keeps retrainings going.

It finds the applications by their names, so that they may start after it, stop and come back. Each workload
has a watch of its own: one that is broken holds up no other.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from deployments.logs import configure_log_file
from deployments.retraining.keeper import JobsAway, RetrainingKeeper
from deployments.retraining.ray_jobs import RayJobs
from deployments.routing import ArmVersion
from deployments.store import Store
from deployments.ward import ApplicationAway, Served, Ward
from features.config import load_sections
from features.contract import Contract
from training.errors import BundleError
from training.retraining_config import RetrainingConfig
from training.settings import Settings

if TYPE_CHECKING:
    from training.registry import Registry

log = logging.getLogger(__name__)

WATCH_PERIOD_S = 2.0
ANSWER_TIMEOUT_S = 10.0
LOAD_TIMEOUT_S = 120.0


class Steward:
    """Keeps the routing tables of `workloads` in step with the registry's `champion` aliases.

    Beside it, it runs their retrainings.
    """

    def __init__(self, settings: Settings, workloads: Sequence[str]) -> None:
        configure_log_file(settings.logs, "steward")
        self._settings = settings
        self._registry: Registry | None = None
        self._opening = threading.Lock()
        store = Store(settings.store_url)
        self._watches = [
            asyncio.create_task(
                _watch(Ward(name, ServeReplicas(name), self._champions, store, settings.bundle_cache))
            )
            for name in workloads
        ]
        jobs = RayJobs(settings)
        self._watches += [asyncio.create_task(_keep(name, settings, store, jobs)) for name in workloads]

    def check_health(self) -> None:
        """Serve restarts the Steward when one of its watches has ended."""
        for watch in self._watches:
            if watch.done():
                raise RuntimeError(f"a watch ended: {watch.exception()!r}")

    def _champions(self, workload: str) -> dict[str, ArmVersion]:
        with self._opening:
            if self._registry is None:
                from training.registry import Registry  # MLflow takes seconds to import

                self._registry = Registry(self._settings)
        return {
            arm: ArmVersion(model_version=found.version, bundle=found.bundle, source=found.source)
            for arm, found in self._registry.champions(workload).items()
        }


async def _watch(ward: Ward) -> None:
    while True:
        try:
            await ward.look_after()
        except ApplicationAway as away:
            log.debug("not looked after: %s", away, extra={"workload": ward.workload})
        except Exception:
            # the registry or the store is away: serving goes on with the table that it has
            log.exception("registry not read", extra={"workload": ward.workload})
        await asyncio.sleep(WATCH_PERIOD_S)


async def _keep(workload: str, settings: Settings, store: Store, jobs: RayJobs) -> None:
    keeper: RetrainingKeeper | None = None
    told = ""
    while True:
        try:
            if keeper is None:
                sections = await asyncio.to_thread(load_sections, settings.workloads, workload)
                contract = Contract.model_validate(sections["contract"])
                config = RetrainingConfig.model_validate(sections.get("retraining") or {})
                keeper = RetrainingKeeper(contract, config, store, jobs, lambda: datetime.now(UTC))
            await asyncio.to_thread(keeper.look_after)
        except JobsAway as away:
            if told != (told := str(away)):
                log.warning("retraining put off: %s", away, extra={"workload": workload})
        except Exception:
            # a workload that cannot be retrained is served all the same
            log.exception("retraining not looked after", extra={"workload": workload})
        await asyncio.sleep(WATCH_PERIOD_S)


class ServeReplicas:
    """`Replicas` of the Serve application that is named after the workload."""

    def __init__(self, workload: str) -> None:
        self._workload = workload
        self._handles: dict[str, DeploymentHandle] = {}

    async def served(self) -> Served:
        """See `Replicas`."""
        router = await self._handle("Router")
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                served: Served = await router.served.remote()
        except (RayError, RayServeException, TimeoutError) as error:
            raise ApplicationAway(f"{self._workload}: {error!r}") from error
        return served

    async def load(self, deployment: str, version: ArmVersion) -> int:
        """See `Replicas`."""
        handle = await self._handle(deployment)
        try:
            return len(await handle.broadcast("load", version).results_async(timeout_s=LOAD_TIMEOUT_S))
        except BundleError:
            raise  # Ray raises what the replica raised, as a type that is also one of its own
        except (RayError, RayServeException, TimeoutError) as error:
            raise ApplicationAway(f"{self._workload}: {deployment}: {error!r}") from error

    async def _handle(self, deployment: str) -> DeploymentHandle:
        if deployment not in self._handles:
            try:
                self._handles[deployment] = await asyncio.to_thread(
                    serve.get_deployment_handle, deployment, self._workload
                )
            except (RayServeException, KeyError) as error:
                raise ApplicationAway(f"{self._workload}: {deployment} is not there") from error
        return self._handles[deployment]
