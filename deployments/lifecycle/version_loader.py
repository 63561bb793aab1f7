"""Brings a version to all replicas of an application, beside those that they serve."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from deployments.domain.routing import ArmVersion
from deployments.domain.served import Served
from deployments.lifecycle.bundle_cache import BundleCache
from features.contract import Contract
from training.runtime.errors import BundleError

SCALER = "FeatureScaler"


class ApplicationUnavailable(RuntimeError):
    """The application of a workload is not there, or does not answer; it may come."""


class Replicas(Protocol):
    """The application of the workload, wherever it runs. Both raise `ApplicationUnavailable`."""

    async def served(self) -> Served:
        """Return what it serves now: another contract, perhaps, than before it was deployed again."""

    async def load(self, deployment: str, version: ArmVersion) -> int:
        """Load a version on all replicas of a deployment; return how many there are.

        Raises:
            BundleError: a replica refuses the bundle.
        """


@dataclass(frozen=True)
class LoadOutcome:
    """The end of one attempt to load a version.

    Attributes:
        status: `loaded` by every replica; `refused` by one; `deferred` to a later round.
        reason: of a refusal or a deferral, where there is one.
    """

    status: Literal["loaded", "refused", "deferred"]
    reason: str = ""


class VersionLoader:
    """A loader of versions by the bundle cache of this node and the replicas of one application.

    Args:
        replicas: the application.
        cache: folder of the bundle cache.
        registry_uri: of MLflow; bundles are fetched from it if it is a server.
    """

    def __init__(self, replicas: Replicas, cache: Path, registry_uri: str = "") -> None:
        self._replicas = replicas
        self._cache = cache
        self._registry_uri = registry_uri

    async def load(self, contract: Contract, arm: str, version: ArmVersion) -> LoadOutcome:
        """Load a version of an arm on every replica that needs it, and check its golden inputs there."""
        cache = BundleCache(self._cache, contract, self._registry_uri)
        try:
            await asyncio.to_thread(cache.fetch, version.bundle, version.source)
            loaded = [await self._replicas.load(part, version) for part in (SCALER, arm)]
        except BundleError as error:
            return LoadOutcome("refused", str(error).strip().splitlines()[-1])
        except (OSError, ApplicationUnavailable) as error:
            return LoadOutcome("deferred", str(error))
        # 0 where no replica is up yet; a later round finds one
        return LoadOutcome("loaded" if all(loaded) else "deferred")
