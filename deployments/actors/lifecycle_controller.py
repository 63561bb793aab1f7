"""The lifecycle controller of many workloads: retrains, proves new versions, brings champions into service.

It finds the applications by their names, so that they may start after it, stop and come back. Each workload
has two loops of its own, of its versions and of its retrainings: one that is broken holds up no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from deployments.domain.routing import ArmVersion
from deployments.domain.served import Served
from deployments.lifecycle.promotion_controller import PromotionController
from deployments.lifecycle.promotion_evidence import Evidence
from deployments.lifecycle.ray_jobs import RayJobs
from deployments.lifecycle.reconciler import Reconciler
from deployments.lifecycle.registry import RegisteredVersions, SharedRegistry
from deployments.lifecycle.retraining_controller import JobServiceUnavailable, RetrainingController
from deployments.lifecycle.version_loader import ApplicationUnavailable
from deployments.runtime.logs import RepeatedErrors, configure_log_file
from deployments.store import Store
from features.config import load_sections
from features.contract import Contract
from features.workload import load_workload
from training.runtime.errors import BundleError
from training.runtime.private_files import make_files_private
from training.runtime.promotion_config import PromotionConfig
from training.runtime.retraining_config import RetrainingConfig
from training.runtime.settings import Settings
from training.runtime.tasks.factory import make_task

log = logging.getLogger(__name__)

ROUND_PERIOD_S = 2.0
ANSWER_TIMEOUT_S = 10.0
LOAD_TIMEOUT_S = 120.0


class LifecycleController:
    """A controller that keeps the routing tables of `workloads` in step with the `champion` aliases.

    It decides which version those are: it runs retrainings, proves their models on live requests, promotes
    and takes back.
    """

    def __init__(self, settings: Settings, workloads: Sequence[str]) -> None:
        make_files_private()
        configure_log_file(settings.logs, "lifecycle-controller")
        store = Store(settings.store_url)
        registry = SharedRegistry(settings)
        jobs = RayJobs(settings)
        versions = [_keep_versions(name, settings, store, registry) for name in workloads]
        retrainings = [_keep_retrainings(name, settings, store, jobs) for name in workloads]
        self._loops = [asyncio.create_task(loop) for loop in (*versions, *retrainings)]

    def check_health(self) -> None:
        """Raise when one of the loops has ended, so that Serve restarts the LifecycleController."""
        for loop in self._loops:
            if loop.done():
                raise RuntimeError(f"a loop ended: {loop.exception()!r}")


async def _keep_versions(workload: str, settings: Settings, store: Store, registry: SharedRegistry) -> None:
    """Keep the routing table in step with the registry, and prove its challengers."""
    versions = RegisteredVersions(registry, workload)
    reconciler = Reconciler(
        workload,
        ServeReplicas(workload),
        versions,
        store,
        settings.bundle_cache,
        partial(_promotions, workload, settings, store, versions),
        _now,
        settings.registry_uri,
    )
    errors = RepeatedErrors(log, "versions not reconciled", workload=workload)
    while True:
        try:
            await reconciler.reconcile()
            errors.passed()
        except ApplicationUnavailable as away:
            log.debug("versions not reconciled: %s", away, extra={"workload": workload})
        except Exception as error:  # noqa: BLE001 - the registry or the store is away: serving goes on as it is
            errors.failed(error)
        await asyncio.sleep(ROUND_PERIOD_S)


def _promotions(
    workload: str, settings: Settings, store: Store, versions: RegisteredVersions
) -> PromotionController:
    sections = load_sections(settings.workloads, workload)
    contract = Contract.model_validate(sections["contract"])
    config = PromotionConfig.model_validate(sections.get("promotion") or {})
    gate = RetrainingConfig.model_validate(sections.get("retraining") or {}).gate
    evidence = Evidence(contract.target, make_task(contract, load_workload(contract)), gate)
    return PromotionController(workload, config, evidence, store, versions, _now)


async def _keep_retrainings(workload: str, settings: Settings, store: Store, jobs: RayJobs) -> None:
    """Start the retrainings of a workload when they are due, and follow their jobs."""
    controller: RetrainingController | None = None
    reported = ""
    errors = RepeatedErrors(log, "retrainings not reconciled", workload=workload)
    while True:
        try:
            if controller is None:
                controller = await asyncio.to_thread(_retrainings, workload, settings, store, jobs)
            await asyncio.to_thread(controller.reconcile)
            errors.passed()
        except JobServiceUnavailable as away:
            if reported != (reported := str(away)):
                log.warning("retraining put off: %s", away, extra={"workload": workload})
        except Exception as error:  # noqa: BLE001 - a workload that cannot be retrained is served all the same
            errors.failed(error)
        await asyncio.sleep(ROUND_PERIOD_S)


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
        """Return what the router serves; see `Replicas`."""
        router = await self._handle("Router")
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                served: Served = await router.served.remote()
        except (RayError, RayServeException, TimeoutError) as error:
            raise ApplicationUnavailable(f"{self._workload}: {error!r}") from error
        return served

    async def load(self, deployment: str, version: ArmVersion) -> int:
        """Load a version into all replicas; see `Replicas`."""
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
