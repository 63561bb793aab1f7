<<<<<<< b1793c09160fdd5561bbf22cc975ba1bce1a3175
"""The metrics of one router replica. Nothing here is on the path of a request: its counters are read."""
=======
"""Metrics of one router replica, read when they are asked for: requests only count."""
>>>>>>> 91a2e358b8b5fb41c16dc479f9e656975b6b2738

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product

from deployments.domain.breaker_settings import State
from deployments.http.request_metrics import RequestCounts
<<<<<<< b1793c09160fdd5561bbf22cc975ba1bce1a3175
from deployments.inference.service import PredictionService
from deployments.telemetry.metrics.catalogue import CALL_PATHS, CALLS, ERROR_KINDS, TRUTH_OUTCOMES
=======
from deployments.inference.stack import ServingStack
from deployments.telemetry.metrics.catalogue import CALLS, ERROR_KINDS, TRUTH_OUTCOMES, WAYS
>>>>>>> 91a2e358b8b5fb41c16dc479f9e656975b6b2738
from deployments.telemetry.metrics.samples import Samples
from features.targets import ClassTarget

_OPEN: Mapping[State, float] = {"closed": 0.0, "half_open": 0.5, "open": 1.0}

_BY_ARM: Mapping[str, Callable[[ServingStack], Mapping[str, int]]] = {
    "raysonde_predictions_total": lambda stack: stack.counts.predictions,
    "raysonde_fallbacks_total": lambda stack: stack.counts.fallbacks,
    "raysonde_outliers_total": lambda stack: stack.counts.outliers,
    "raysonde_cache_hits_total": lambda stack: stack.dispatcher.cache.hits,
    "raysonde_cache_misses_total": lambda stack: stack.dispatcher.cache.misses,
    "raysonde_shadow_answers_total": lambda stack: stack.shadows.answers,
    "raysonde_shadow_dropped_total": lambda stack: stack.shadows.dropped,
    "raysonde_shadow_failures_total": lambda stack: stack.shadows.failures,
    "raysonde_arm_failures_total": lambda stack: stack.dispatcher.failures,
    "raysonde_queue_rows": lambda stack: stack.queue.waiting_rows(),
    "raysonde_arm_calls_in_flight": lambda stack: stack.calls.by_arm,
}


<<<<<<< b1793c09160fdd5561bbf22cc975ba1bce1a3175
def router_samples(
    service: PredictionService, requests: RequestCounts, calls_by_path: Mapping[str, int]
) -> Samples:
    """Make the samples of the origin `router`.
=======
def router_samples(stack: ServingStack, requests: RequestCounts, ways: Mapping[str, int]) -> Samples:
    """All metrics of the origin `router`.
>>>>>>> 91a2e358b8b5fb41c16dc479f9e656975b6b2738

    A counter is there from the start, at 0: one that appears with its first event never shows that it grew.

    Args:
<<<<<<< b1793c09160fdd5561bbf22cc975ba1bce1a3175
        service: of the replica.
        requests: of the replica.
        calls_by_path: calls of the scaler by their path, see `CALL_PATHS`.
    """
    samples = Samples()
    _add_requests(samples, requests)
    _add_answers(samples, service)
    _add_arms(samples, service)
    for outcome in TRUTH_OUTCOMES:
        samples.put("raysonde_truths_total", service.truths.outcomes[outcome], outcome)
    for path in CALL_PATHS:
        samples.put("raysonde_scaler_calls_total", calls_by_path.get(path, 0), path)
    samples.put("raysonde_journal_backlog_rows", service.journal.waiting)
    samples.put("raysonde_journal_dropped_rows_total", service.journal.dropped)
    return samples
=======
        stack: of the replica.
        requests: that came to it.
        ways: calls of the scaler by the way they went, see `WAYS`.
    """
    readings = Samples()
    _add_requests(readings, requests)
    _add_answers(readings, stack)
    _add_arms(readings, stack)
    for outcome in TRUTH_OUTCOMES:
        readings.put("raysonde_truths_total", stack.truths.outcomes[outcome], outcome)
    for way in WAYS:
        readings.put("raysonde_scaler_calls_total", ways.get(way, 0), way)
    readings.put("raysonde_journal_backlog_rows", stack.journal.waiting)
    readings.put("raysonde_journal_dropped_rows_total", stack.journal.dropped)
    return readings
>>>>>>> 91a2e358b8b5fb41c16dc479f9e656975b6b2738


def _add_requests(samples: Samples, requests: RequestCounts) -> None:
    for (call, status), count in requests.requests.items():
        samples.put("raysonde_requests_total", count, call, str(status))
    for call, durations in requests.durations.items():
        samples.put("raysonde_request_duration_seconds", durations.buckets(), call)
    for call, kind in product(CALLS, ERROR_KINDS):
        samples.put("raysonde_errors_total", requests.errors[call, kind], call, kind)


<<<<<<< b1793c09160fdd5561bbf22cc975ba1bce1a3175
def _add_answers(samples: Samples, service: PredictionService) -> None:
    """Add the counters by arm, the ensembles among them."""
    answering = dict.fromkeys((*service.arms, *(service.table.versions if service.table else ())))
=======
def _add_answers(readings: Samples, stack: ServingStack) -> None:
    """Add the counts by arm, those of ensembles among them."""
    follower = stack.follower
    answering = dict.fromkeys((*follower.arms, *(follower.table.versions if follower.table else ())))
>>>>>>> 91a2e358b8b5fb41c16dc479f9e656975b6b2738
    for name, counts in _BY_ARM.items():
        counted = counts(stack)
        for arm in answering | dict.fromkeys(counted):
<<<<<<< b1793c09160fdd5561bbf22cc975ba1bce1a3175
            samples.put(name, counted.get(arm, 0), arm)
    target = service.contract.target
    if isinstance(target, ClassTarget):
        for arm, one in product(answering, target.classes):
            samples.put("raysonde_predicted_classes_total", service.counts.classes[arm, one], arm, one)


def _add_arms(samples: Samples, service: PredictionService) -> None:
    table = service.table
    wanted = service.arms if table is None else [arm for arm in service.arms if arm in table.policy.arms]
    for arm in wanted:
        samples.put("raysonde_arm_ready", float(arm not in service.waiting_for), arm)
    for arm in table.versions if table else ():
        samples.put("raysonde_breaker_open", _OPEN[service.predictor.breaker(arm).state], arm)
=======
            readings.put(name, counted.get(arm, 0), arm)
    target = stack.contract.target
    if isinstance(target, ClassTarget):
        for arm, one in product(answering, target.classes):
            readings.put("raysonde_predicted_classes_total", stack.counts.classes[arm, one], arm, one)


def _add_arms(readings: Samples, stack: ServingStack) -> None:
    follower, table = stack.follower, stack.follower.table
    wanted = follower.arms if table is None else [arm for arm in follower.arms if arm in table.policy.arms]
    for arm in wanted:
        readings.put("raysonde_arm_ready", float(arm not in follower.waiting_for), arm)
    for arm in table.versions if table else ():
        readings.put("raysonde_breaker_open", _OPEN[stack.dispatcher.breaker(arm).state], arm)
>>>>>>> 91a2e358b8b5fb41c16dc479f9e656975b6b2738
