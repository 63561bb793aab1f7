"""Earlier samples of an entity, which complete a later instance that brings only new ones.

The store has them, so that every router replica, and one after a restart, completes an instance alike. While
the store is unavailable a replica goes on with the samples that it got itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from deployments.domain.samples import Samples, leading_samples, merge_samples, to_samples
from deployments.runtime.batching import Coalescer
from deployments.store import StoreUnavailable
from features.contract import Contract

log = logging.getLogger(__name__)

FloatArray = NDArray[np.float64]
# Adds samples to those of entities, and returns the samples that were kept of each before.
Exchange = Callable[[Sequence[tuple[str, Samples]]], Sequence[Samples]]

DEADLINE_S = 1.0
MAX_ENTITIES = 10_000


class EntityHistory:
    """The earlier samples of entities, as one router replica exchanges them. Belongs to one event loop.

    Args:
        contract: of a windowed workload that keeps samples.
        exchange: with the store; blocking, called from a thread.
        deadline_s: of an exchange; after it the replica uses its own memory.
        max_entities: of the memory; those whose last sample is oldest go first.
    """

    def __init__(
        self,
        contract: Contract,
        exchange: Exchange,
        deadline_s: float = DEADLINE_S,
        max_entities: int = MAX_ENTITIES,
    ) -> None:
        assert contract.window is not None, "a tabular contract has no samples"
        self._contract = contract
        self._spec = contract.window
        self._exchange = exchange
        self._deadline_s = deadline_s
        self._max_entities = max_entities
        self._memory: OrderedDict[str, Samples] = OrderedDict()
        # one call at a time: samples are added in the order in which they came
        self._coalescer: Coalescer[str, tuple[str, Samples], Samples] = Coalescer(self._call, max_in_flight=1)

    async def exchange(self, entity: str, samples: FloatArray) -> FloatArray:
        """Keep `samples`, (n, fields); return those kept before that may stand before them, (m, fields).

        The samples are kept when this returns, whether or not they make a window.
        """
        sent = to_samples(samples[-self._spec.kept_samples :])
        try:
            async with asyncio.timeout(self._deadline_s):
                kept = await self._coalescer.submit(self._contract.workload, (entity, sent))
        except (StoreUnavailable, TimeoutError) as error:
            log.warning(
                "samples are kept by this replica only: %r",
                error,
                extra={"workload": self._contract.workload},
            )
            kept = self._memory.get(entity, [])
        time_column = self._contract.field_names.index(self._spec.time)
        self._remember(entity, merge_samples(kept, sent, time_column, self._spec.kept_samples))
        return leading_samples(
            kept, samples[0, time_column], time_column, self._spec.max_gap_s, samples.shape[1]
        )

    def _remember(self, entity: str, samples: Samples) -> None:
        self._memory[entity] = samples
        self._memory.move_to_end(entity)
        if len(self._memory) > self._max_entities:
            self._memory.popitem(last=False)

    def _call(self, _workload: str, items: list[tuple[str, Samples]]) -> Awaitable[Sequence[Samples]]:
        return asyncio.to_thread(self._exchange, items)


def history_in_store(
    contract: Contract, exchange_samples: Callable[..., Sequence[Samples]]
) -> EntityHistory | None:
    """Return the history of a workload over `Store.exchange_samples`; None if it keeps no samples."""
    window = contract.window
    if window is None or not window.keep_history:
        return None
    exchange = partial(
        exchange_samples,
        contract.workload,
        time_column=contract.field_names.index(window.time),
        most_samples=window.kept_samples,
        most_entities=MAX_ENTITIES,
    )
    return EntityHistory(contract, exchange)
