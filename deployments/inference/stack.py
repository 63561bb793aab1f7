"""The stack of a workload in one router replica: all that a request meets from HTTP to the journal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from deployments.domain.downstream import Downstream
from deployments.inference.answer_metrics import AnswerCounts
from deployments.inference.answer_recorder import AnswerRecorder
from deployments.inference.arm_prover import ArmProver
from deployments.inference.arm_queue import ArmQueue
from deployments.inference.coverage_levels import CoverageLevels
from deployments.inference.dispatcher import BatchPacing, Dispatcher
from deployments.inference.ensemble import Ensemble
from deployments.inference.ensemble_errors import EnsembleErrorTracker
from deployments.inference.ensemble_weights import RollingErrors
from deployments.inference.in_flight import CallsInFlight
from deployments.inference.request_log import RequestLog
from deployments.inference.routing_follower import RoutingFollower
from deployments.inference.service import PredictionService
from deployments.inference.shadow import ShadowTraffic
from deployments.inference.truth_writer import TruthWriter
from deployments.lifecycle.bundle_cache import BundleCache
from deployments.requests.entity_history import history_in_store
from deployments.requests.feedback import FeedbackParser
from deployments.requests.parser import InstanceParser
from deployments.store import JournalWriter, PredictionRecord, ShadowRow, Store
from deployments.store.store import utc_now
from deployments.telemetry.tracing.api import NO_TRACING, Tracing
from features.contract import Contract
from features.workload import load_workload
from training.runtime.tasks.factory import make_task


@dataclass(frozen=True)
class ServingStack:
    """The parts that HTTP, the metrics and the Router see.

    Attributes:
        store: journal, routing table, promotions and retrainings.
        service: answers predictions and truths.
        follower: the routing table, and which arms are ready.
        dispatcher: breakers, kept answers and failed attempts.
        queue: requests that wait for an arm.
        ensemble: shares of its members.
        errors: of the members; the shares come from them.
        levels: coverage levels of the arms.
        calls: under way to the arms.
        counts: of the answers.
        shadows: the copies for shadows.
        truths: counts of the truths written.
        journal: predictions that wait for the store.
        shadow_journal: answers of shadows that wait for the store.
        request_log: lines that wait for the log.
    """

    store: Store
    service: PredictionService
    follower: RoutingFollower
    dispatcher: Dispatcher
    queue: ArmQueue
    ensemble: Ensemble
    errors: RollingErrors
    levels: CoverageLevels
    calls: CallsInFlight
    counts: AnswerCounts
    shadows: ShadowTraffic
    truths: TruthWriter
    journal: JournalWriter[PredictionRecord]
    shadow_journal: JournalWriter[ShadowRow]
    request_log: RequestLog

    @property
    def contract(self) -> Contract:
        """The contract of the workload."""
        return self.service.contract

    async def close(self) -> None:
        """Write all that waits for the log and the store; answers of shadows only for a second."""
        self.request_log.flush()
        await self.shadows.close()
        await self.truths.close()
        await self.journal.close()
        await self.shadow_journal.close(timeout_s=1.0)


def build_stack(
    contract: Contract,
    arms: Sequence[str],
    downstream: Downstream,
    store: Store,
    bundles: BundleCache,
    *,
    levels: CoverageLevels | None = None,
    tracing: Tracing = NO_TRACING,
    pacing: BatchPacing | None = None,
    now: Callable[[], datetime] = utc_now,
) -> ServingStack:
    """Put the stack of a workload together; `http.app` puts HTTP before it.

    A request goes from `PredictionService` to `InstanceParser`, `Dispatcher`, `ArmQueue`, `Ensemble`,
    `CallsInFlight` and the downstream; its answer through `AnswerRecorder` to the journal.

    Args:
        contract: what is served.
        arms: names of the arm deployments.
        downstream: the scaler and the arms.
        store: journal and routing table.
        bundles: cards and golden inputs.
        levels: at which the downstream has regions made, followed with the table; nominal unless given.
        tracing: of the requests.
        pacing: of batches.
        now: UTC time.
    """
    workload, task = contract.workload, make_task(contract, load_workload(contract))
    levels, pacing, errors = levels or CoverageLevels(), pacing or BatchPacing(), RollingErrors()
    # the arms, the ensembles over them, and the queues before them
    calls = CallsInFlight(downstream)
    ensemble = Ensemble(tracing.around_downstream(calls), task, errors)
    queue = ArmQueue(ensemble, tracing.coalescer)
    # after the answer; shadows call the downstream itself, since they are no part of a request
    journal = JournalWriter(store.write_predictions)
    shadow_journal = JournalWriter(store.shadows.write, "shadow answer", flush_interval_s=1.0)
    shadows = ShadowTraffic(workload, calls, shadow_journal.add, queue.is_busy)
    request_log, counts = RequestLog(), AnswerCounts(contract.target)
    recorder = AnswerRecorder(contract, journal, request_log, counts, shadows, tracing, now)
    # from the body to the answer
    dispatcher = Dispatcher(workload, ensemble, recorder.record, queue=queue, levels=levels, pacing=pacing)
    instances, feedback = InstanceParser(contract), FeedbackParser(contract)
    history = history_in_store(contract, store.exchange_samples)
    truths = TruthWriter(workload, store, journal.flush_those)
    service = PredictionService(contract, instances, history, dispatcher, journal, feedback, truths, pacing)
    # beside the requests: the routing table
    prover = ArmProver(contract, instances, calls, bundles)
    tracker = EnsembleErrorTracker(store, workload, contract.target, task, errors)
    follower = RoutingFollower(workload, arms, store, (dispatcher, shadows), levels, prover, tracker)
    return ServingStack(
        store,
        service,
        follower,
        dispatcher,
        queue,
        ensemble,
        errors,
        levels,
        calls,
        counts,
        shadows,
        truths,
        journal,
        shadow_journal,
        request_log,
    )
