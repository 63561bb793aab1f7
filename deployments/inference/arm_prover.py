"""The proof that a version of an arm answers this replica: one call through scaler and arm."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from deployments.domain.downstream import Downstream, DownstreamError
from deployments.domain.predictions import Prediction, render
from deployments.domain.routing import ArmVersion, Decision
from deployments.lifecycle.bundle_cache import BundleCache
from deployments.requests.parser import InstanceParser
from features.contract import Contract
from training.runtime.bundle import Card

log = logging.getLogger(__name__)

PROOF_TIMEOUT_S = 10.0


class ArmProver:
    """Asks a version about the contract's example, or about a golden input of its bundle. Not journalled.

    Args:
        contract: of the workload.
        instances: parses the example.
        downstream: the scaler and the arms.
        bundles: has the golden inputs and the cards.
        timeout_s: of a call.

    Attributes:
        example_answer: the JSON object that an arm answered about the example; None before.
    """

    def __init__(
        self,
        contract: Contract,
        instances: InstanceParser,
        downstream: Downstream,
        bundles: BundleCache,
        timeout_s: float = PROOF_TIMEOUT_S,
    ) -> None:
        self.example_answer: dict[str, Any] | None = None
        self._contract = contract
        self._instances = instances
        self._downstream = downstream
        self._bundles = bundles
        self._timeout_s = timeout_s
        self._proofs: dict[str, NDArray[np.float64]] = {}  # inputs, by bundle

    async def still_answers(self, arm: str, version: ArmVersion) -> bool:
        """Return whether a version that was proven answers the same input again."""
        try:
            await self._downstream(arm, version, self._proofs[version.bundle])
        except (DownstreamError, KeyError):
            return False
        return True

    async def prove(self, arm: str, version: ArmVersion) -> Card | None:
        """Return the card of the version's bundle if it answers, else None.

        Raises:
            BundleError, OSError: see `BundleCache.fetch`.
        """
        bundle = await asyncio.to_thread(self._bundles.fetch, version.bundle, version.source)
        raw, example = bundle.golden.raw[:1], None
        if self._contract.example:
            example = self._instances.parse_instance(orjson.dumps(self._contract.example))
            raw = example.raw[np.newaxis]
        try:
            async with asyncio.timeout(self._timeout_s):
                (answer,) = await self._downstream(arm, version, raw)
        except (DownstreamError, TimeoutError) as error:
            labels = {"workload": self._contract.workload, "arm": arm}
            log.warning("arm does not answer yet: %r", error, extra=labels)
            return None
        self._proofs[version.bundle] = raw
        if example is not None:
            decision = Decision(arm, (arm,), named=True, reason="proof")
            prediction = Prediction(example, decision, arm, version, answer)
            self.example_answer = render(self._contract, prediction)
        return bundle.card
