"""The calls that a workload answers: predict one instance, predict a batch, take truths."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from functools import partial
from typing import TypeVar

from deployments.domain.instances import UNKNOWN_CALLER, Caller, Instance, ParsedInstance
from deployments.domain.predictions import Prediction
from deployments.inference.dispatcher import BatchPacing, Dispatcher
from deployments.inference.recording.writers import Writers
from deployments.inference.sent_ids import SentIds
from deployments.requests.entity_history import EntityHistory
from deployments.requests.feedback import FeedbackParser
from deployments.requests.json_lists import Body
from deployments.requests.parser import InstanceParser
from deployments.runtime.process_memory import drain
from deployments.store import FeedbackCounts
from features.contract import Contract
from features.windows import check_times

T = TypeVar("T")


class PredictionService:
    """The requests of one workload, from the body to the answer. Belongs to one event loop.

    Args:
        contract: what is served.
        instances: parses instances.
        ids: that callers give to them.
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
        ids: SentIds,
        history: EntityHistory | None,
        dispatcher: Dispatcher,
        feedback: FeedbackParser,
        writers: Writers,
        pacing: BatchPacing,
    ) -> None:
        self.contract = contract
        self.feedback = feedback
        self._instances = instances
        self._ids = ids
        self._history = history
        self._dispatcher = dispatcher
        self._journal = writers.journal
        self._truths = writers.truths
        self._pacing = pacing

    async def predict(
        self, body: bytes, requested_arm: str | None, *, caller: Caller = UNKNOWN_CALLER
    ) -> Prediction:
        """Answer one instance; see `InstanceParser`, `SentIds`, `Dispatcher.predict` for what is raised."""
        parsed = self._instances.read(body)
        if not parsed.id_was_sent:
            return await self._dispatcher.predict(await self._finish(parsed, caller), requested_arm)
        claimed = await self._ids.claim({parsed.id: parsed.payload})
        try:
            return await self._dispatcher.predict(await self._finish(parsed, caller), requested_arm)
        finally:
            self._ids.release(claimed)

    async def predict_batch(
        self, body: Body, requested_arm: str | None, *, caller: Caller = UNKNOWN_CALLER
    ) -> AsyncGenerator[list[Prediction]]:
        """Answer many in order, part by part.

        See `InstanceParser.parse_batch` and `SentIds.claim` for what is raised before.

        Other requests get their turns all the while. The next part waits while the journal is full.
        """
        instances = await self._in_turns(self._instances.read_batch(body))
        del body  # the memory of a batch goes as it is answered
        claimed = await self._ids.claim({one.id: one.payload for one in instances if one.id_was_sent})
        try:
            # not a generator, which would keep the last one
            marked = map(partial(_sent_by, caller), drain(instances))
            async with aclosing(self._dispatcher.predict_batch(marked, requested_arm)) as parts:
                async for part in parts:
                    self._ids.release(claimed.intersection(one.instance.id for one in part))
                    yield part
                    await self._journal.make_room()
        finally:
            self._ids.release(claimed)

    async def take_truths(self, body: Body, caller: Caller = UNKNOWN_CALLER) -> FeedbackCounts:
        """Write the truths of a body; on disk when this returns. Their predictions are written before them.

        Raises:
            what `FeedbackParser.parse` and `TruthWriter.write` do.
        """
        return await self._truths.write(await self._in_turns(self.feedback.read(body, caller)))

    async def _in_turns(self, steps: Iterator[T | None]) -> list[T]:
        """Go through the steps, and let others have their turns between them; return what they gave."""
        found: list[T] = []
        turn_ends_s = time.monotonic() + self._pacing.turn_s
        for one in steps:
            if one is not None:
                found.append(one)
            if time.monotonic() > turn_ends_s:
                await asyncio.sleep(0)
                turn_ends_s = time.monotonic() + self._pacing.turn_s
        return found

    async def _finish(self, parsed: ParsedInstance, caller: Caller) -> Instance:
        """Return the instance, completed by samples that were sent before where those are kept.

        A probe brings all of its samples, and leaves none for others.
        """
        if caller.is_probe or self._history is None or parsed.samples is None:
            return self._instances.finish(parsed)._replace(caller=caller)
        check_times(self.contract, parsed.samples)
        earlier = await self._history.exchange(parsed.entity, parsed.samples)
        return self._instances.finish(parsed, earlier)._replace(caller=caller)


def _sent_by(caller: Caller, instance: Instance) -> Instance:
    return instance._replace(caller=caller)
