"""Ids that callers give to their instances: none may stand for two of them.

A truth comes back under the id, so one that stands for two instances would teach the wrong one. What is known
of an id is in three places, which are asked in this order: the requests of this replica that have no answer
yet, its predictions that wait for the store, and the store. An id that another router replica has answered
within the interval of its journal, or while the store is away, is not known here: the store meets it when the
journal is written, and keeps later truths of that id apart (`deployments.store.reused_ids`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from deployments.domain.errors import IdInUse, Overloaded
from deployments.domain.instances import is_same_instance
from deployments.runtime.batching import Coalescer
from deployments.store import PredictionRecord, StoreUnavailable

_log = logging.getLogger(__name__)

# Returns the instances of those of these ids that are in the journal. Blocking, called from a thread.
ReadPayloads = Callable[[str, Sequence[str]], Mapping[str, str]]
_Sent = tuple[str, bytes]


class SentIds:
    """The ids of the requests of one router replica. Belongs to one event loop.

    Args:
        workload: of the ids.
        find_waiting: returns the prediction of an id that waits for the store.
        read_payloads: of the store.
        deadline_s: for the store. After it a request goes on without.
        pause_s: how long the store is not asked after it was away.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        workload: str,
        find_waiting: Callable[[str], PredictionRecord | None],
        read_payloads: ReadPayloads,
        *,
        deadline_s: float = 1.0,
        pause_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._workload = workload
        self._find_waiting = find_waiting
        self._read_payloads = read_payloads
        self._deadline_s = deadline_s
        self._pause_s = pause_s
        self._clock = clock
        self._asks_from_s = float("-inf")
        self._held: dict[str, bytes] = {}
        # single instances of one moment share a look into the store
        self._coalescer: Coalescer[str, _Sent, str | None] = Coalescer(self._find_in_store)

    async def claim(self, sent: Mapping[str, bytes]) -> set[str]:
        """Claim ids for their instances, as JSON, until `release` is called with what this returns.

        Raises:
            IdInUse: one of them stands for another instance. None is claimed then.
        """
        known: list[tuple[str, bytes, str | bytes]] = []
        unknown: dict[str, bytes] = {}
        claimed: set[str] = set()
        for id_, payload in sent.items():
            row = self._find_waiting(id_)
            there = self._held.get(id_) if row is None else row.payload.encode()
            if row is None:
                # also one that is held: the store may not have been asked about it yet
                unknown[id_] = payload
            if there is None:
                self._held[id_] = payload
                claimed.add(id_)
            elif there != payload:
                known.append((id_, payload, there))
        try:
            in_use = await asyncio.to_thread(_first_other, known) if known else None
            if in_use is None and unknown:
                in_use = await self._in_store(unknown)
            if in_use is not None:
                raise IdInUse(in_use)
        except BaseException:
            self.release(claimed)
            raise
        return claimed

    def release(self, claimed: Collection[str]) -> None:
        """Give claimed ids up: they are answered and wait for the store, or have no answer."""
        for id_ in claimed:
            self._held.pop(id_, None)

    async def _in_store(self, sent: Mapping[str, bytes]) -> str | None:
        """Return the first id that stands for another instance in the store; None if the store is away."""
        if self._clock() < self._asks_from_s:
            return None
        try:
            async with asyncio.timeout(self._deadline_s):
                if len(sent) == 1:
                    return await self._coalescer.submit(self._workload, next(iter(sent.items())))
                return await asyncio.to_thread(self._find_other, sent)
        except Overloaded:
            return None
        except (StoreUnavailable, TimeoutError) as error:
            self._asks_from_s = self._clock() + self._pause_s
            _log.warning(
                "ids are not looked up for %.0f s: %r",
                self._pause_s,
                error,
                extra={"workload": self._workload},
            )
            return None

    async def _find_in_store(self, _workload: str, sent: list[_Sent]) -> list[str | None]:
        return await asyncio.to_thread(self._find_each, sent)

    def _find_each(self, sent: list[_Sent]) -> list[str | None]:
        there = self._read_payloads(self._workload, list({id_ for id_, _ in sent}))
        return [_first_other([(id_, one, there[id_])]) if id_ in there else None for id_, one in sent]

    def _find_other(self, sent: Mapping[str, bytes]) -> str | None:
        there = self._read_payloads(self._workload, list(sent))
        return _first_other([(id_, sent[id_], other) for id_, other in there.items()])


def _first_other(pairs: Sequence[tuple[str, bytes, str | bytes]]) -> str | None:
    """Return the first id of two instances that are not one."""
    return next((id_ for id_, sent, other in pairs if not is_same_instance(sent, other)), None)
