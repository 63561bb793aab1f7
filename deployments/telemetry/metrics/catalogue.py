"""The catalogue of all metrics, from which `/metrics`, Ray's exporter and the table in the docs follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Kind = Literal["counter", "gauge", "histogram", "gaugehistogram"]
Origin = Literal["router", "store", "system"]

# Labels that all metrics of an origin have beside their own.
COMMON_LABELS: Mapping[Origin, tuple[str, ...]] = MappingProxyType(
    {"router": ("workload", "replica"), "store": ("workload",), "system": ()}
)
# The calls of a workload that are counted apart.
CALLS = ("predict", "batch_predict", "feedback", "other")
# The kinds of errors of requests; `error_kinds.py` maps problem documents to them.
ERROR_KINDS = (
    "malformed",
    "schema_version",
    "too_large",
    "invalid",
    "unauthorized",
    "not_found",
    "conflict",
    "overload",
    "unavailable",
    "fault",
    "client_left",
    "other",
)
TRUTH_OUTCOMES = ("accepted", "unmatched", "duplicate", "conflicting")
# The paths of a router's calls of the scaler, see `deployments.rpc.client`.
CALL_PATHS = ("direct", "serve")
DETECTORS = ("input", "quality", "concept", "calibration")
RETRAINING_OUTCOMES = ("done", "failed")
PROMOTION_OUTCOMES = ("kept", "rejected", "rolled_back", "superseded", "aborted")
# They resolve 1 to 100 ms.
DURATION_BOUNDS_S = (
    *(0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)


@dataclass(frozen=True)
class Metric:
    """A family of samples with one name.

    Attributes:
        name: as in the text; of histograms without what their samples add (`_bucket`, `_count`, `_sum`).
        kind: as Prometheus has it. A `gaugehistogram` has buckets alone, of a window: they go down, too.
        labels: beside those that all metrics of the origin have, and `le` of histograms.
        help: its meaning, with the unit.
        origin: `router`: each router replica holds it, and starts at 0. `store`: read from the store, so no
            restart resets it. `system`: of the root application.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    origin: Origin

    @property
    def all_labels(self) -> tuple[str, ...]:
        """The labels of the origin, and its own."""
        return (*COMMON_LABELS[self.origin], *self.labels)


def _counter(name: str, labels: str, text: str, origin: Origin = "router") -> Metric:
    return Metric(f"raysonde_{name}_total", "counter", tuple(labels.split()), text, origin)


def _gauge(name: str, labels: str, text: str, origin: Origin = "store") -> Metric:
    return Metric(f"raysonde_{name}", "gauge", tuple(labels.split()), text, origin)


_ROUTER_METRICS = (
    _counter("requests", "call code", "Requests, by HTTP status; 499: the caller left before the answer"),
    Metric(
        "raysonde_request_duration_seconds",
        "histogram",
        ("call",),
        "From a request's arrival at the router to the end of its answer, whatever that is",
        "router",
    ),
    _counter("errors", "call kind", "Requests that failed, by kind of error"),
    _counter("predictions", "arm", "Instances answered, those of batches and ensembles included"),
    _counter("predicted_classes", "arm class", "Of them, by predicted class; classification only"),
    _counter("fallbacks", "arm", "Answers of the arm in place of another"),
    _counter("outliers", "arm", "Answers about instances farther out than all of the reference"),
    _counter("cache_hits", "arm", "Answers found in the cache"),
    _counter("cache_misses", "arm", "Lookups of the cache that found no answer"),
    _counter("shadow_answers", "arm", "Answers of the arm that were copied to its shadow"),
    _counter("shadow_dropped", "arm", "Answers that were not copied, or for which the shadow failed"),
    _counter("shadow_failures", "arm", "Calls of a shadow that failed"),
    _counter(
        "arm_failures", "arm", "Attempts at the arm that failed or came too late; one a part of a batch"
    ),
    _counter("truths", "outcome", "Truths received, by outcome"),
    _gauge("queue_rows", "arm", "Rows that wait to be sent to the arm", "router"),
    _gauge("arm_calls_in_flight", "arm", "Calls of the arm that have no answer yet", "router"),
    _gauge("breaker_open", "arm", "1: the breaker is open, 0.5: half open, 0: closed", "router"),
    _gauge("journal_backlog_rows", "", "Predictions that are not in the store yet", "router"),
    _counter("journal_dropped_rows", "", "Predictions that are lost for the journal"),
    _counter("journal_reused_ids", "", "Predictions left out of the journal: another instance has their id"),
    _counter(
        "scaler_calls",
        "way",
        "Calls of the scaler: direct, over a connection, or serve, through Serve's handle",
    ),
    _gauge("arm_ready", "arm", "1 when the arm of the policy has answered this replica", "router"),
    _gauge(
        "champion_held_back",
        "arm",
        "1 while the champion of the arm is not what it serves; `/info` says why",
        "router",
    ),
)

_STORE_METRICS = (
    _gauge("window_predictions", "arm window", "Answers in the window"),
    _gauge(
        "window_error",
        "arm window metric",
        "Rolling metrics of the task over the answers whose truth has come, in its units: mae, rmse, rmsle, "
        "accuracy, log_loss, f1, mean_error_m, mean_width ...",
    ),
    _gauge("window_region_coverage_ratio", "arm window", "Share of the truths inside the regions"),
    _gauge("region_nominal_ratio", "arm", "Nominal share of truths inside the regions of the arm"),
    _gauge("region_level_ratio", "arm", "Level at which they have to be made now to hold the nominal share"),
    _gauge("window_truth_ratio", "arm window", "Truths over predictions"),
    _gauge(
        "window_prediction_mean",
        "arm window",
        "Mean of the predicted number, of the positive class's probability, or of the altitude in m at the "
        "end of a path",
    ),
    Metric(
        "raysonde_window_prediction",
        "gaugehistogram",
        ("arm",),
        "Histogram of the same numbers over the shortest window (5m)",
        "store",
    ),
    _gauge("window_feedback_lag_mean_seconds", "arm window", "From answer to truth, mean"),
    Metric(
        "raysonde_window_feedback_lag",
        "gaugehistogram",
        ("arm",),
        "From answer to truth in seconds, histogram over the window of an hour (1h)",
        "store",
    ),
    _gauge("drift_hot", "detector subject", "1: it drifts, 0: it does not, or too little is known"),
    _gauge("drift_score", "detector subject", "At 1 and above the detector would be drifting"),
    _counter("drift_events", "detector state", "Changes of state: hot to drifting, cool to ok", "store"),
    _counter("retrainings", "outcome", "Retrainings that have ended", "store"),
    _gauge("retraining_running", "", "1 while a retraining has a job; one that waits has none"),
    _gauge("retraining_last_timestamp_seconds", "", "Unix time at which the last one was done"),
    _counter("promotions", "arm outcome", "Promotions that have ended", "store"),
    _gauge("model_info", "arm model_version bundle", "1 for the version that the arm serves"),
    _gauge("monitor_page_age_seconds", "", "Since the Monitor's last evaluation"),
    _gauge("monitor_up_to_date", "", "1 when it had read all of the journal by then"),
    _gauge("workload_ready", "", "1 when router replicas answer, and each arm of the policy answers them"),
)

_SYSTEM_METRICS = (_gauge("build_info", "version", "1 for the version that runs", "system"),)

METRICS: Mapping[str, Metric] = MappingProxyType(
    {metric.name: metric for metric in (*_ROUTER_METRICS, *_STORE_METRICS, *_SYSTEM_METRICS)}
)
