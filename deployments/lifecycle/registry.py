"""The registry, as the lifecycle controller reads and moves it. MLflow is imported when it is first read."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from deployments.domain.routing import ArmVersion
from deployments.lifecycle.observation import Aliases, Unreadable
from training.registry.model_version import ModelVersion, UnreadableVersion
from training.runtime.settings import Settings

if TYPE_CHECKING:
    from training.registry.models import Registry


class SharedRegistry:
    """The registry of the settings, opened once for all workloads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._registry: Registry | None = None
        self._opening = threading.Lock()

    def open(self) -> Registry:
        """Return the registry; MLflow takes seconds to import."""
        with self._opening:
            if self._registry is None:
                from training.registry.models import Registry

                self._registry = Registry(self._settings)
            return self._registry


class RegisteredVersions:
    """The versions of one workload. Synchronous, for threads; what MLflow raises comes through."""

    def __init__(self, registry: SharedRegistry, workload: str) -> None:
        self._registry = registry
        self._workload = workload

    def read(self) -> Aliases:
        """Return the versions that have an alias now."""
        holders = self._registry.open().holders(self._workload)
        champions = {arm: _read(found) for arm, found in holders["champion"].items()}
        challengers = {arm: _read(found) for arm, found in holders["challenger"].items()}
        return Aliases(
            {arm: found for arm, found in champions.items() if isinstance(found, ArmVersion)},
            {arm: found for arm, found in challengers.items() if isinstance(found, ArmVersion)},
            {arm: found for arm, found in champions.items() if isinstance(found, Unreadable)},
        )

    def find(self, arm: str, model_version: str) -> ArmVersion | Unreadable | None:
        """Return one version, if there is such a one."""
        found = self._registry.open().find(self._workload, arm, model_version)
        return None if found is None else _read(found)

    def make_champion(self, arm: str, model_version: str) -> None:
        """Give it the alias `champion`, unless it is gone."""
        registry = self._registry.open()
        version = registry.find(self._workload, arm, model_version)
        if version is not None:
            registry.set_champion(version)

    def drop_challenger(self, arm: str, model_version: str) -> None:
        """Take the alias `challenger` from it, if it has it."""
        registry = self._registry.open()
        version = registry.find(self._workload, arm, model_version)
        if version is not None:
            registry.drop_challenger(version)


def _read(found: ModelVersion | UnreadableVersion) -> ArmVersion | Unreadable:
    if isinstance(found, UnreadableVersion):
        return Unreadable(found.version, found.reason)
    return ArmVersion(model_version=found.version, bundle=found.bundle, source=found.source)
