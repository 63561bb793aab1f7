"""A `Service` with real bundles and a real store in one process: everything but Serve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deployments.answers import Row
from deployments.model_cache import BundleCache
from deployments.predictor import DownstreamError
from deployments.routing import ArmVersion, RoutingPolicy
from deployments.service import Service
from deployments.store import Store
from tests.support.models import apogee_contract, make_parts
from training.bundle import write_bundle
from training.inference import load_model

ARMS = ("linear", "mlp", "random_forest")
POLICY = RoutingPolicy(weights={"mlp": 3, "linear": 1, "random_forest": 1}, fallback=ARMS)


class LocalDownstream:
    """Scaler and arm by plain calls; `down` names arms that do not answer."""

    def __init__(self, cache: BundleCache) -> None:
        self.down: set[str] = set()
        self._cache = cache

    async def __call__(self, arm: str, version: ArmVersion, raw: NDArray[np.float64]) -> Sequence[Row]:
        if arm in self.down:
            raise DownstreamError(f"{arm} is down")
        model = load_model(self._cache.fetch(version.bundle, version.source))
        found = model.predict(raw)
        coverage = model.bundle.interval.coverage
        return [
            Row(*map(float, ends), coverage)
            for ends in zip(found.value, found.lower, found.upper, strict=True)
        ]


class LocalSystem:
    """One workload with an arm version each, its store and its cache under `folder`."""

    def __init__(self, folder: Path) -> None:
        contract = apogee_contract()
        self.store = Store(f"sqlite:///{folder}/store.db")
        self.store.create_tables()
        self.cache = BundleCache(folder / "cache", contract)
        self.downstream = LocalDownstream(self.cache)
        self.versions = {arm: self._version(folder, arm, number) for number, arm in enumerate(ARMS)}
        self.store.seed_policy(contract.workload, POLICY)
        self.store.put_arms(contract.workload, self.versions)
        self.service = Service(contract, ARMS, self.downstream, self.store, self.cache)

    @staticmethod
    def _version(folder: Path, arm: str, number: int) -> ArmVersion:
        path = folder / "bundles" / arm
        bundle = write_bundle(make_parts(arm, number), path)
        return ArmVersion(model_version="1", bundle=bundle, source=str(path))
