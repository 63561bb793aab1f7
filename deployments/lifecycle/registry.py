"""The registry, as the lifecycle controller reads and moves it. MLflow is imported when it is first asked."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from deployments.domain.routing import ArmVersion
from training.runtime.settings import Settings

if TYPE_CHECKING:
    from training.registry.models import ModelVersion, Registry


class SharedRegistry:
    """The registry of the settings, opened once for all workloads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._registry: Registry | None = None
        self._opening = threading.Lock()

    def open(self) -> Registry:
        """The registry; MLflow takes seconds to import."""
        with self._opening:
            if self._registry is None:
                from training.registry.models import Registry

                self._registry = Registry(self._settings)
            return self._registry


class Registered:
    """The versions of one workload. Synchronous, for threads; what MLflow raises comes through.

    Attributes:
        champions, challengers: the versions with these aliases by arm, as last read.
    """

    def __init__(self, registry: SharedRegistry, workload: str) -> None:
        self.champions: Mapping[str, ArmVersion] = {}
        self.challengers: Mapping[str, ArmVersion] = {}
        self._registry = registry
        self._workload = workload

    def read(self) -> None:
        """See what the aliases name now."""
        holders = self._registry.open().holders(self._workload)
        by_alias = {
            alias: {arm: _arm_version(found) for arm, found in held.items()}
            for alias, held in holders.items()
        }
        self.champions, self.challengers = by_alias["champion"], by_alias["challenger"]

    def find(self, arm: str, model_version: str) -> ArmVersion | None:
        """One version, if there is such a one."""
        found = self._registry.open().find(self._workload, arm, model_version)
        return None if found is None else _arm_version(found)

    def make_champion(self, arm: str, model_version: str) -> None:
        """Give it the alias, unless it is gone."""
        registry = self._registry.open()
        version = registry.find(self._workload, arm, model_version)
        if version is not None:
            registry.set_champion(version)

    def drop_challenger(self, arm: str, model_version: str) -> None:
        """It is no challenger any more."""
        registry = self._registry.open()
        version = registry.find(self._workload, arm, model_version)
        if version is not None:
            registry.drop_challenger(version)


def _arm_version(found: ModelVersion) -> ArmVersion:
    return ArmVersion(model_version=found.version, bundle=found.bundle, source=found.source)
