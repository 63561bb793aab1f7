"""The metrics of one router replica. Nothing here is on the path of a request: its counters are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product

from deployments.domain.breaker_settings import State
from deployments.http.request_metrics import RequestCounts
from deployments.inference.stack import ServingStack
from deployments.telemetry.metrics.catalogue import CALL_PATHS, CALLS, ERROR_KINDS, TRUTH_OUTCOMES
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


def router_samples(stack: ServingStack, requests: RequestCounts, calls_by_path: Mapping[str, int]) -> Samples:
    """Make the samples of the origin `router`.

    A counter is there from the start, at 0: one that appears with its first event never shows that it grew.

    Args:
        stack: of the replica.
        requests: of the replica.
        calls_by_path: calls of the scaler by their path, see `CALL_PATHS`.
    """
    samples = Samples()
    _add_requests(samples, requests)
    _add_answers(samples, stack)
    _add_arms(samples, stack)
    for outcome in TRUTH_OUTCOMES:
        samples.put("raysonde_truths_total", stack.writers.truths.outcomes[outcome], outcome)
    for path in CALL_PATHS:
        samples.put("raysonde_scaler_calls_total", calls_by_path.get(path, 0), path)
    samples.put("raysonde_journal_backlog_rows", stack.writers.journal.waiting)
    samples.put("raysonde_journal_dropped_rows_total", stack.writers.journal.dropped)
    samples.put("raysonde_journal_reused_ids_total", stack.writers.predictions.reused_ids)
    return samples


def _add_requests(samples: Samples, requests: RequestCounts) -> None:
    for (call, status), count in requests.requests.items():
        samples.put("raysonde_requests_total", count, call, str(status))
    for call, durations in requests.durations.items():
        samples.put("raysonde_request_duration_seconds", durations.buckets(), call)
    for call, kind in product(CALLS, ERROR_KINDS):
        samples.put("raysonde_errors_total", requests.errors[call, kind], call, kind)


def _add_answers(samples: Samples, stack: ServingStack) -> None:
    """Add the counters by arm, the ensembles among them."""
    follower = stack.follower
    answering = dict.fromkeys((*follower.arms, *(follower.table.versions if follower.table else ())))
    for name, counts in _BY_ARM.items():
        counted = counts(stack)
        for arm in answering | dict.fromkeys(counted):
            samples.put(name, counted.get(arm, 0), arm)
    target = stack.contract.target
    if isinstance(target, ClassTarget):
        for arm, one in product(answering, target.classes):
            samples.put("raysonde_predicted_classes_total", stack.counts.classes[arm, one], arm, one)


def _add_arms(samples: Samples, stack: ServingStack) -> None:
    follower, table = stack.follower, stack.follower.table
    wanted = follower.arms if table is None else [arm for arm in follower.arms if arm in table.policy.arms]
    for arm in wanted:
        samples.put("raysonde_arm_ready", float(arm not in follower.waiting_for), arm)
        samples.put("raysonde_champion_held_back", float(bool(table and arm in table.held_back)), arm)
    for arm in table.versions if table else ():
        samples.put("raysonde_breaker_open", _OPEN[stack.dispatcher.breaker(arm).state], arm)
