"""What a router replica holds and does, without Serve: predict, journal, take truth, follow the table."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
import orjson

from deployments.domain.downstream import Downstream, DownstreamError
from deployments.domain.errors import Unavailable
from deployments.domain.instances import Instance
from deployments.domain.outcomes import Answered
from deployments.domain.predictions import Prediction, render
from deployments.domain.routing import ArmVersion, EnsembleVersion, RoutingPolicy, RoutingTable, check_arms
from deployments.inference.answer_metrics import AnswerCounts
from deployments.inference.cache import AnswerCache
from deployments.inference.coverage_levels import CoverageLevels
from deployments.inference.dispatcher import Dispatcher
from deployments.inference.ensemble import Ensemble
from deployments.inference.ensemble_errors import EnsembleErrorTracker
from deployments.inference.ensemble_weights import RollingErrors
from deployments.inference.in_flight import CallsInFlight
from deployments.inference.journal_row import journal_row
from deployments.inference.request_log import RequestLog
from deployments.inference.shadow import ShadowTraffic
from deployments.inference.truth_writer import TruthWriter
from deployments.lifecycle.bundle_cache import BundleCache
from deployments.requests.entity_history import MAX_ENTITIES, EntityHistory
from deployments.requests.feedback import FeedbackParser
from deployments.requests.parser import InstanceParser
from deployments.runtime.process_memory import drain
from deployments.store import FeedbackCounts, JournalWriter, Store, StoreUnavailable
from deployments.telemetry.tracing.api import NO_TRACING, Tracing
from features.contract import Contract
from features.windows import check_times
from features.workload import load_workload
from training.runtime.bundle import Card
from training.runtime.tasks.factory import make_task

log = logging.getLogger(__name__)

POLL_PERIOD_S = 0.5
PROOF_TIMEOUT_S = 10.0
_TURN_S = 0.002  # of the event loop, for the instances of a batch

# about a hundred truths: more would keep the event loop from others for longer than a thread costs
_BYTES_PARSED_AT_ONCE = 10_000


class PredictionService:
    """One workload as one router replica serves it. Belongs to one event loop.

    Args:
        contract: what is served.
        arms: names of the arm deployments.
        downstream: the scaler and the arms.
        store: journal and routing table.
        cache: bundles, for what `info` tells and for proving that an arm answers.
        now: UTC time.
        levels: at which the downstream has regions made, followed with the table; nominal unless given.
        tracing: of the requests.
    """

    def __init__(
        self,
        contract: Contract,
        arms: Sequence[str],
        downstream: Downstream,
        store: Store,
        cache: BundleCache,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        levels: CoverageLevels | None = None,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self.contract = contract
        self.arms = tuple(arms)
        self.instances = InstanceParser(contract)
        self.feedback = FeedbackParser(contract)
        self.calls = self._downstream = CallsInFlight(downstream)
        self.store = self._store = store
        self._cache = cache
        self._now = now
        self.journal = self._journal = JournalWriter(store.write_predictions)
        self._shadow_journal = JournalWriter(store.shadows.write, "shadow answer", flush_interval_s=1.0)
        self.truths = TruthWriter(contract.workload, store, self._journal.flush_those)
        self._request_log = RequestLog(log)
        self._history = self._make_history()
        task = make_task(contract, load_workload(contract))
        self.errors = RollingErrors()
        self.counts = AnswerCounts(contract.target)
        self._tracing = tracing
        # shadows ask the downstream itself: they are no part of a request
        self._blender = Ensemble(tracing.around_downstream(self.calls), task, self.errors)
        self._judge = EnsembleErrorTracker(store, contract.workload, contract.target, task, self.errors)
        self.levels = levels or CoverageLevels()
        self.predictor = Dispatcher(
            contract.workload,
            self._blender,
            self._record,
            levels=self.levels,
            coalescer=tracing.coalescer,
        )
        self.shadowing = ShadowTraffic(
            contract.workload, self.calls, self._shadow_journal.add, self.predictor.is_busy
        )
        self._cards: dict[ArmVersion, Card] = {}
        self.example_answer: dict[str, Any] | None = None

    @property
    def table(self) -> RoutingTable | None:
        """The routing table in use; None before the first one was read."""
        return self.predictor.table

    @property
    def cache(self) -> AnswerCache:
        """Answers that this replica keeps, with how often one was found."""
        return self.predictor.cache

    @property
    def waiting_for(self) -> tuple[str, ...]:
        """Arms of the policy that have not answered this replica yet; it is ready when there are none."""
        if self.table is None:
            return self.arms
        proven = {arm for arm, version in self.table.arms.items() if version in self._cards}
        return tuple(arm for arm in self.arms if arm in self.table.policy.arms and arm not in proven)

    async def predict(self, body: bytes, requested_arm: str | None) -> Prediction:
        """Answer one instance; see `InstanceParser` and `Dispatcher.predict` for what is raised."""
        return await self.predictor.predict(await self._instance(body), requested_arm)

    async def predict_batch(self, body: bytes, requested_arm: str | None) -> AsyncGenerator[list[Prediction]]:
        """Answer many in order, part by part; see `InstanceParser.parse_batch` for what is raised before.

        Other requests get their turns all the while. What is answered faster than the store takes it waits.
        """
        instances: list[Instance] = []
        turn_ends_s = time.monotonic() + _TURN_S
        for instance in self.instances.parse_batch(body):
            instances.append(instance)
            if time.monotonic() > turn_ends_s:
                await asyncio.sleep(0)
                turn_ends_s = time.monotonic() + _TURN_S
        del body, instance  # the memory of a batch goes as it is answered
        async with aclosing(self.predictor.predict_batch(drain(instances), requested_arm)) as parts:
            async for part in parts:
                yield part
                await self._journal.make_room()

    async def take_truths(self, body: bytes) -> FeedbackCounts:
        """Write the truths of a body; on disk when this returns. Their predictions are written before them.

        Raises:
            what `FeedbackParser.parse` and `TruthWriter.write` do.
        """
        if len(body) > _BYTES_PARSED_AT_ONCE:
            return await self.truths.write(await asyncio.to_thread(self.feedback.parse, body))
        return await self.truths.write(self.feedback.parse(body))

    async def put_policy(self, policy: RoutingPolicy, expected_revision: int | None = None) -> RoutingTable:
        """Put the policy in force, here at once and on the other replicas within a poll.

        Raises:
            FieldError: it names an arm that there is not.
            Conflict: another revision is in force than the one expected.
        """
        check_arms(policy, self.arms)
        await asyncio.to_thread(
            self._store.put_policy,
            self.contract.workload,
            policy,
            actor="api",
            expected_revision=expected_revision,
        )
        await self.poll()
        if self.table is None:
            raise Unavailable("the routing table cannot be read")
        return self.table

    def cards(self) -> dict[str, tuple[ArmVersion, Card]]:
        """Version and card of each arm that has answered."""
        arms = self.table.arms if self.table else {}
        return {
            arm: (version, self._cards[version]) for arm, version in arms.items() if version in self._cards
        }

    def ensembles(self) -> dict[str, tuple[EnsembleVersion, dict[str, float]]]:
        """Version and present shares of the members of each ensemble that answers."""
        proven, versions = self.cards(), self.table.versions if self.table else {}
        return {
            name: (version, self._blender.shares(version))
            for name, version in versions.items()
            if isinstance(version, EnsembleVersion) and proven.keys() >= set(version.settings.arms)
        }

    def adopt(self) -> None:
        """Use the routing table that is in force, before the first request comes; blocks while it is read.

        Without it a replica that starts beside others would refuse what it is sent until its first poll.
        """
        try:
            table = self._store.routing(self.contract.workload)
            self.levels.refresh()
        except (StoreUnavailable, OSError) as error:
            log.warning("routing table not read: %s", error, extra={"workload": self.contract.workload})
            return
        if table is not None:
            self._use(table)

    async def poll(self) -> None:
        """Read the routing table and the levels once and use them.

        Versions not met before are asked their golden inputs. Truths are read for ensembles alone.
        """
        table = await asyncio.to_thread(self._store.routing, self.contract.workload)
        if table is None:
            return
        await asyncio.to_thread(self.levels.refresh)
        if self.table is None or table.revision > self.table.revision:
            self._use(table)
        for arm, version in table.arms.items():
            if version not in self._cards:
                await self._prove(arm, version)
        if table.policy.ensembles:
            await self._judge.catch_up()

    async def follow(self) -> None:
        """Poll for ever. A store that is away leaves the table as it is."""
        while True:
            try:
                await self.poll()
            except (StoreUnavailable, OSError) as error:
                log.warning("routing table not read: %s", error, extra={"workload": self.contract.workload})
            await asyncio.sleep(POLL_PERIOD_S)

    async def close(self) -> None:
        """Write what waits."""
        self._request_log.flush()
        await self.shadowing.close()
        await self.truths.close()
        await self._journal.close()
        await self._shadow_journal.close(timeout_s=1.0)

    def _use(self, table: RoutingTable) -> None:
        self.predictor.use(table)
        self.shadowing.use(table)

    def _make_history(self) -> EntityHistory | None:
        window = self.contract.window
        if window is None or not window.keep_history:
            return None
        exchange = partial(
            self._store.exchange_samples,
            self.contract.workload,
            time_column=self.contract.field_names.index(window.time),
            most_samples=window.kept_samples,
            most_entities=MAX_ENTITIES,
        )
        return EntityHistory(self.contract, exchange)

    async def _instance(self, body: bytes) -> Instance:
        """The instance in a body, completed by samples that were sent before where those are kept."""
        sent = self.instances.read(body)
        if self._history is None or sent.samples is None:
            return self.instances.finish(sent)
        check_times(self.contract, sent.samples)
        return self.instances.finish(sent, await self._history.exchange(sent.entity, sent.samples))

    async def _prove(self, arm: str, version: ArmVersion) -> None:
        """One call through scaler and arm, so that ready means that it answers. Not journalled."""
        bundle = await asyncio.to_thread(self._cache.fetch, version.bundle, version.source)
        raw, example = bundle.golden.raw[:1], None
        if self.contract.example:
            example = self.instances.parse_instance(orjson.dumps(self.contract.example))
            raw = example.raw[np.newaxis]
        try:
            async with asyncio.timeout(PROOF_TIMEOUT_S):
                (row,) = await self._downstream(arm, version, raw)
        except (DownstreamError, TimeoutError) as error:
            log.warning(
                "arm does not answer yet: %r", error, extra={"workload": self.contract.workload, "arm": arm}
            )
            return
        self._cards[version] = bundle.card
        if example is not None:
            answer = Prediction(example.sent_id, row, arm, version, fallback=False)
            self.example_answer = render(self.contract, answer)

    def _record(self, answers: Sequence[Answered]) -> None:
        now = self._now()
        rows = [journal_row(self.contract, answered, now) for answered in answers]
        self._journal.add(rows)
        self._request_log.add(rows, self._tracing.answered(answers))
        for row in rows:
            self.counts.add(row)
        self.shadowing.copy(answers, now)
