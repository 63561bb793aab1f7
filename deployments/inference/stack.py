"""The stack of a workload in one router replica: all that a request meets from HTTP to the journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deployments.domain.downstream import Downstream
from deployments.inference.arm_prover import ArmProver
from deployments.inference.arm_queue import ArmQueue
from deployments.inference.coverage_levels import CoverageLevels
from deployments.inference.dispatcher import BatchPacing, Dispatcher
from deployments.inference.ensemble import Ensemble
from deployments.inference.ensemble_errors import EnsembleErrorTracker
from deployments.inference.ensemble_weights import RollingErrors
from deployments.inference.in_flight import CallsInFlight
from deployments.inference.prediction_probe import PredictionProbe
from deployments.inference.recording.answer_metrics import AnswerCounts
from deployments.inference.recording.answer_recorder import AnswerRecorder
from deployments.inference.recording.writers import Writers, make_writers
from deployments.inference.routing_follower import RoutingFollower
from deployments.inference.sent_ids import SentIds
from deployments.inference.service import PredictionService
from deployments.inference.shadow import ShadowTraffic
from deployments.lifecycle.bundle_cache import BundleCache
from deployments.requests.entity_history import history_in_store
from deployments.requests.feedback import FeedbackParser
from deployments.requests.parser import InstanceParser
from deployments.store import Store
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
        probe: whether predictions are answered now.
        dispatcher: breakers, kept answers and failed attempts.
        queue: requests that wait for an arm.
        ensemble: shares of its members.
        errors: of the members; the shares come from them.
        levels: coverage levels of the arms.
        calls: under way to the arms.
        counts: of the answers.
        shadows: the copies for shadows.
        writers: what waits for the store or the log.
    """

    store: Store
    service: PredictionService
    follower: RoutingFollower
    probe: PredictionProbe
    dispatcher: Dispatcher
    queue: ArmQueue
    ensemble: Ensemble
    errors: RollingErrors
    levels: CoverageLevels
    calls: CallsInFlight
    counts: AnswerCounts
    shadows: ShadowTraffic
    writers: Writers

    @property
    def contract(self) -> Contract:
        """The contract of the workload."""
        return self.service.contract

    async def close(self) -> None:
        """End the copies for shadows, and write all that waits."""
        await self.shadows.close()
        await self.writers.close()


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
) -> ServingStack:
    """Put the stack of a workload together; `http.app` puts HTTP before it.

    A request goes from `PredictionService` to `InstanceParser`, `Dispatcher`, `ArmQueue`, `Ensemble`,
    `CallsInFlight` and `downstream`; its answer through `AnswerRecorder` to the journal.

    Args:
        arms: names of the arm deployments.
        bundles: cards and golden inputs.
        levels: at which `downstream` has regions made, followed with the table; nominal unless given.
    """
    workload, task = contract.workload, make_task(contract, load_workload(contract))
    levels, pacing, errors = levels or CoverageLevels(), pacing or BatchPacing(), RollingErrors()
    calls = CallsInFlight(downstream)
    ensemble = Ensemble(tracing.around_downstream(calls), task, errors)
    queue = ArmQueue(ensemble, tracing.coalescer)
    writers, counts = make_writers(workload, store), AnswerCounts(contract.target)
    # shadows call the downstream itself, since they are no part of a request
    shadows = ShadowTraffic(workload, calls, writers.shadow_journal.add, queue.is_busy)
    recorder = AnswerRecorder(contract, writers.journal, writers.request_log, counts, shadows, tracing)
    dispatcher = Dispatcher(workload, ensemble, recorder.record, queue=queue, levels=levels, pacing=pacing)
    instances, feedback = InstanceParser(contract), FeedbackParser(contract)
    history = history_in_store(contract, store.exchange_samples)
    ids = SentIds(workload, writers.journal.find, store.payloads)
    service = PredictionService(contract, instances, ids, history, dispatcher, feedback, writers, pacing)
    # beside the requests: the routing table
    prover = ArmProver(contract, instances, calls, bundles)
    tracker = EnsembleErrorTracker(store, workload, contract.target, task, errors)
    follower = RoutingFollower(workload, arms, store, (dispatcher, shadows), levels, prover, tracker)
    probe = PredictionProbe(
        lambda: follower.proven_arms, follower.still_answers, lambda: sum(counts.predictions.values())
    )
    return ServingStack(
        store,
        service,
        follower,
        probe,
        dispatcher,
        queue,
        ensemble,
        errors,
        levels,
        calls,
        counts,
        shadows,
        writers,
    )
