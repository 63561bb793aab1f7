"""The lifecycle controller of many workloads: retrains, proves new versions, brings champions into service.

It finds the applications by their names, so that they may start after it, stop and come back. Each workload
has a loop of its own: one that is broken holds up no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from deployments.domain.routing import ArmVersion
from deployments.domain.served import Served
from deployments.lifecycle.promotion_controller import PromotionController
from deployments.lifecycle.promotion_evidence import Evidence
from deployments.lifecycle.ray_jobs import RayJobs
from deployments.lifecycle.reconciler import ApplicationUnavailable, Reconciler
from deployments.lifecycle.registry import Registered, SharedRegistry
from deployments.lifecycle.retraining_controller import JobServiceUnavailable, RetrainingController
from deployments.runtime.logs import configure_log_file
from deployments.store import Store
from features.config import load_sections
from features.contract import Contract
from features.workload import load_workload
from training.runtime.errors import BundleError
from training.runtime.promotion_config import PromotionConfig
from training.runtime.retraining_config import RetrainingConfig
from training.runtime.settings import Settings
from training.runtime.tasks.factory import make_task

log = logging.getLogger(__name__)

MONITOR_PERIOD_S = 2.0
ANSWER_TIMEOUT_S = 10.0
LOAD_TIMEOUT_S = 120.0


class LifecycleController:
    """Keeps the routing tables of `workloads` in step with the registry's `champion` aliases.

    It decides which version those are: it runs retrainings, proves their models on live requests, promotes
    and takes back.
    """

    def __init__(self, settings: Settings, workloads: Sequence[str]) -> None:
        configure_log_file(settings.logs, "steward")
        store = Store(settings.store_url)
        registry = SharedRegistry(settings)
        jobs = RayJobs(settings)
        self._watches = [asyncio.create_task(_watch(name, settings, store, registry)) for name in workloads]
        self._watches += [asyncio.create_task(_retrain(name, settings, store, jobs)) for name in workloads]

    def check_health(self) -> None:
        """Serve restarts the LifecycleController when one of its watches has ended."""
        for watch in self._watches:
            if watch.done():
                raise RuntimeError(f"a watch ended: {watch.exception()!r}")


async def _watch(workload: str, settings: Settings, store: Store, registry: SharedRegistry) -> None:
    """Keep the routing table in step with the registry, and prove its challengers."""
    versions = Registered(registry, workload)
    promotions: PromotionController | None = None

    def champions() -> Mapping[str, ArmVersion]:
        versions.read()
        return versions.champions

    def shadows() -> Mapping[str, ArmVersion] | None:
        return promotions.shadows if promotions is not None else None

    replicas = ServeReplicas(workload)
    cache, registry_uri = settings.bundle_cache, settings.registry_uri
    ward = Reconciler(workload, replicas, champions, store, cache, shadows, registry_uri)
    while True:
        try:
            table = await ward.reconcile()
            if table is not None:
                if promotions is None:
                    promotions = await asyncio.to_thread(_promotions, workload, settings, store, versions)
                await asyncio.to_thread(promotions.reconcile, table, ward.refused)
        except ApplicationUnavailable as away:
            log.debug("not looked after: %s", away, extra={"workload": workload})
        except Exception:
            # the registry or the store is away: serving goes on with the table that it has
            log.exception("versions not looked after", extra={"workload": workload})
        await asyncio.sleep(MONITOR_PERIOD_S)


def _promotions(workload: str, settings: Settings, store: Store, versions: Registered) -> PromotionController:
    sections = load_sections(settings.workloads, workload)
    contract = Contract.model_validate(sections["contract"])
    config = PromotionConfig.model_validate(sections.get("promotion") or {})
    gate = RetrainingConfig.model_validate(sections.get("retraining") or {}).gate
    evidence = Evidence(contract.target, make_task(contract, load_workload(contract)), gate)
    return PromotionController(workload, config, evidence, store, versions, _now)


async def _retrain(workload: str, settings: Settings, store: Store, jobs: RayJobs) -> None:
    keeper: RetrainingController | None = None
    told = ""
    while True:
        try:
            if keeper is None:
                keeper = await asyncio.to_thread(_retrainings, workload, settings, store, jobs)
            await asyncio.to_thread(keeper.reconcile)
        except JobServiceUnavailable as away:
            if told != (told := str(away)):
                log.warning("retraining put off: %s", away, extra={"workload": workload})
        except Exception:
            # a workload that cannot be retrained is served all the same
            log.exception("retraining not looked after", extra={"workload": workload})
        await asyncio.sleep(MONITOR_PERIOD_S)


def _retrainings(workload: str, settings: Settings, store: Store, jobs: RayJobs) -> RetrainingController:
    sections = load_sections(settings.workloads, workload)
    contract = Contract.model_validate(sections["contract"])
    config = RetrainingConfig.model_validate(sections.get("retraining") or {})
    return RetrainingController(contract, config, store, jobs, _now)


def _now() -> datetime:
    return datetime.now(UTC)


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
            raise ApplicationUnavailable(f"{self._workload}: {error!r}") from error
        return served

    async def load(self, deployment: str, version: ArmVersion) -> int:
        """See `Replicas`."""
        handle = await self._handle(deployment)
        try:
            return len(await handle.broadcast("load", version).results_async(timeout_s=LOAD_TIMEOUT_S))
        except BundleError:
            raise  # Ray raises what the replica raised, as a type that is also one of its own
        except (RayError, RayServeException, TimeoutError) as error:
            raise ApplicationUnavailable(f"{self._workload}: {deployment}: {error!r}") from error

    async def _handle(self, deployment: str) -> DeploymentHandle:
        if deployment not in self._handles:
            try:
                self._handles[deployment] = await asyncio.to_thread(
                    serve.get_deployment_handle, deployment, self._workload
                )
            except (RayServeException, KeyError) as error:
                raise ApplicationUnavailable(f"{self._workload}: {deployment} is not there") from error
        return self._handles[deployment]
