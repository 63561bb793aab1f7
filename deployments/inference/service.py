"""The calls that a workload answers: predict one instance, predict a batch, take truths."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from deployments.domain.instances import Instance
from deployments.domain.predictions import Prediction
from deployments.inference.dispatcher import BatchPacing, Dispatcher
from deployments.inference.recording.writers import Writers
from deployments.requests.entity_history import EntityHistory
from deployments.requests.feedback import FeedbackParser
from deployments.requests.parser import InstanceParser
from deployments.runtime.process_memory import drain
from deployments.store import FeedbackCounts
from features.contract import Contract
from features.windows import check_times

# about a hundred truths: more would keep the event loop from others for longer than a thread costs
_MAX_BYTES_PARSED_INLINE = 10_000


class PredictionService:
    """The requests of one workload, from the body to the answer. Belongs to one event loop.

    Args:
        contract: what is served.
        instances: parses instances.
        history: completes windows by earlier samples; None where none are kept.
        dispatcher: answers instances.
        feedback: parses truths.
        writers: of truths, and of the journal: a batch waits while it is full.
        pacing: of batches.
    """

    def __init__(
        self,
        contract: Contract,
        instances: InstanceParser,
        history: EntityHistory | None,
        dispatcher: Dispatcher,
        feedback: FeedbackParser,
        writers: Writers,
        pacing: BatchPacing,
    ) -> None:
        self.contract = contract
        self.feedback = feedback
        self._instances = instances
        self._history = history
        self._dispatcher = dispatcher
        self._journal = writers.journal
        self._truths = writers.truths
        self._pacing = pacing

    async def predict(self, body: bytes, requested_arm: str | None) -> Prediction:
        """Answer one instance; see `InstanceParser` and `Dispatcher.predict` for what is raised."""
        return await self._dispatcher.predict(await self._parse_instance(body), requested_arm)

    async def predict_batch(self, body: bytes, requested_arm: str | None) -> AsyncGenerator[list[Prediction]]:
        """Answer many in order, part by part; see `InstanceParser.parse_batch` for what is raised before.

        Other requests get their turns all the while. The next part waits while the journal is full.
        """
        instances: list[Instance] = []
        turn_ends_s = time.monotonic() + self._pacing.turn_s
        for instance in self._instances.parse_batch(body):
            instances.append(instance)
            if time.monotonic() > turn_ends_s:
                await asyncio.sleep(0)
                turn_ends_s = time.monotonic() + self._pacing.turn_s
        del body, instance  # the memory of a batch goes as it is answered
        async with aclosing(self._dispatcher.predict_batch(drain(instances), requested_arm)) as parts:
            async for part in parts:
                yield part
                await self._journal.make_room()

    async def take_truths(self, body: bytes) -> FeedbackCounts:
        """Write the truths of a body; on disk when this returns. Their predictions are written before them.

        Raises:
            what `FeedbackParser.parse` and `TruthWriter.write` do.
        """
        if len(body) > _MAX_BYTES_PARSED_INLINE:
            return await self._truths.write(await asyncio.to_thread(self.feedback.parse, body))
        return await self._truths.write(self.feedback.parse(body))

    async def _parse_instance(self, body: bytes) -> Instance:
        """Return the instance in a body, completed by samples that were sent before where those are kept."""
        parsed = self._instances.read(body)
        if self._history is None or parsed.samples is None:
            return self._instances.finish(parsed)
        check_times(self.contract, parsed.samples)
        return self._instances.finish(parsed, await self._history.exchange(parsed.entity, parsed.samples))
