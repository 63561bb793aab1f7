"""The dashboard `service`: requests, latencies, arms, journal and replicas."""

from __future__ import annotations

from scripts.rendering.dashboards.selectors import (
    ARM,
    OF_ARM,
    OF_WORKLOAD,
    WORKLOAD,
    grown,
    last,
    one,
    quantile,
    rate,
)
from scripts.rendering.dashboards.values import YES_NO, Dashboard, Panel, Query, Row, Word

_DURATIONS = "raysonde_request_duration_seconds_bucket"
_PREDICT = f'{OF_WORKLOAD}, call="predict"'
_BREAKER = {0.0: Word("closed", "green"), 0.5: Word("half open", "orange"), 1.0: Word("open", "red")}
_TARGET_S, _SLOW_S = 0.05, 0.1

_NOW = (
    Panel(
        "Ready",
        "Whether the router replicas of a workload, and all arms of its policy, answer.",
        one(last("raysonde_workload_ready", "workload"), "{{workload}}"),
        kind="stat",
        width=8,
        height=5,
        words=YES_NO,
    ),
    Panel(
        "p99 of single predictions",
        "Over 5 minutes. The target is 50 ms.",
        one(f"workload:raysonde_predict_duration_seconds:p99_5m{{{OF_WORKLOAD}}}", "{{workload}}"),
        unit="s",
        kind="stat",
        height=5,
        limits=((_TARGET_S, "orange"), (_SLOW_S, "red")),
    ),
    Panel(
        "Failed",
        "Share of 5 minutes' requests that failed by a fault inside or for want of an arm; none is normal.",
        one(
            "sum by (workload) (workload_kind:raysonde_errors:rate5m"
            f'{{{OF_WORKLOAD}, kind=~"fault|unavailable|other"}})'
            f" / workload:raysonde_requests:rate5m{{{OF_WORKLOAD}}}",
            "{{workload}}",
        ),
        unit="percentunit",
        kind="stat",
        height=5,
        limits=((0.001, "orange"), (0.01, "red")),
    ),
)

_REQUESTS = (
    Panel(
        "Requests",
        "By call. `other` are pages and requests of operators.",
        one(rate("raysonde_requests_total", "workload, call"), "{{workload}} {{call}}"),
        unit="reqps",
        stacked=True,
    ),
    Panel(
        "Answers by status",
        "499: the caller left before the answer. 503: there was no answer in time.",
        one(rate("raysonde_requests_total", "workload, code"), "{{workload}} {{code}}"),
        unit="reqps",
    ),
    Panel(
        "Errors by kind",
        "`fault` and `unavailable` are the system's, `overload` is too much load, all else the callers'.",
        one(rate("raysonde_errors_total", "workload, kind") + " > 0 or vector(0)", "{{workload}} {{kind}}"),
        unit="reqps",
    ),
    Panel(
        "Latency of single predictions",
        "From a request's arrival at the router to the end of its answer. The target of the p99 is 50 ms.",
        tuple(
            Query(quantile(share, _DURATIONS, "workload", _PREDICT), f"{{{{workload}}}} p{100 * share:g}")
            for share in (0.5, 0.95, 0.99)
        ),
        unit="s",
        limits=((_TARGET_S, "orange"), (_SLOW_S, "red")),
    ),
    Panel(
        "Latencies of single predictions",
        "How many took how long. Two bands mean two kinds of requests, for example with and without a wait.",
        one(rate(_DURATIONS, "le", _PREDICT), "{{le}}"),
        unit="s",
        kind="heatmap",
        minimum=None,
    ),
    Panel(
        "Latency of batches and truths",
        "p99. A batch takes as long as it has instances.",
        one(
            quantile(0.99, _DURATIONS, "workload, call", f'{OF_WORKLOAD}, call=~"batch_predict|feedback"'),
            "{{workload}} {{call}}",
        ),
        unit="s",
    ),
)

_ARMS = (
    Panel(
        "Predictions by arm",
        "Instances answered, those of batches included. The routing policy has their shares.",
        one(rate("raysonde_predictions_total", "workload, arm", OF_ARM), "{{workload}} {{arm}}"),
        unit="cps",
        stacked=True,
    ),
    Panel(
        "Failures and fallbacks",
        "Calls of an arm that failed or timed out, and answers of others in its place. None is normal.",
        (
            Query(
                rate("raysonde_arm_failures_total", "workload, arm", OF_ARM), "{{workload}} {{arm}} failed"
            ),
            Query(rate("raysonde_fallbacks_total", "workload, arm", OF_ARM), "{{workload}} {{arm}} fallback"),
        ),
        unit="cps",
    ),
    Panel(
        "Circuit breakers",
        "The worst of all router replicas. An arm whose breaker is open is passed over.",
        one(last("raysonde_breaker_open", "workload, arm", OF_ARM), "{{workload}} {{arm}}"),
        kind="state-timeline",
        words=_BREAKER,
    ),
    Panel(
        "Arms that answer",
        "Whether the arm has answered every router replica.",
        one(last("raysonde_arm_ready", "workload, arm", OF_ARM, how="min"), "{{workload}} {{arm}}"),
        kind="state-timeline",
        words=YES_NO,
    ),
    Panel(
        "Waiting rows, and calls in flight",
        "In all router replicas. Rows wait while two calls of their arm are in flight.",
        (
            Query(
                last("raysonde_queue_rows", "workload, arm", OF_ARM, how="sum"), "{{workload}} {{arm}} rows"
            ),
            Query(
                last("raysonde_arm_calls_in_flight", "workload, arm", OF_ARM, how="sum"),
                "{{workload}} {{arm}} calls",
            ),
        ),
    ),
    Panel(
        "Cache hits",
        "Share of the lookups. Empty while no policy has a cache.",
        one(
            f"{rate('raysonde_cache_hits_total', 'workload, arm', OF_ARM)}"
            f" / ({rate('raysonde_cache_hits_total', 'workload, arm', OF_ARM)}"
            f" + {rate('raysonde_cache_misses_total', 'workload, arm', OF_ARM)})",
            "{{workload}} {{arm}}",
        ),
        unit="percentunit",
        maximum=1.0,
    ),
)

_BELOW = (
    Panel(
        "Journal",
        "Predictions that wait in a router replica to be written. Beyond 50,000 new ones are dropped.",
        one(last("raysonde_journal_backlog_rows", "workload"), "{{workload}}"),
        limits=((10_000.0, "orange"), (50_000.0, "red")),
    ),
    Panel(
        "Predictions lost for the journal",
        "Answered, and never to be written. None is normal.",
        one(grown("raysonde_journal_dropped_rows_total", "workload", "1h"), "{{workload}}"),
        limits=((1.0, "red"),),
    ),
    Panel(
        "Router replicas that answer",
        "The counters of a replica end with it.",
        one(last("raysonde_journal_backlog_rows", "workload", how="count"), "{{workload}}"),
    ),
    Panel(
        "Calls in flight by deployment",
        "As Serve counts them; by them it starts and ends replicas.",
        one(
            "sum by (application, deployment)"
            ' (ray_serve_replica_processing_queries{application=~"$workload"})',
            "{{application}} {{deployment}}",
        ),
    ),
    Panel(
        "Processors and memory in use, by node",
        "As Ray's agents see them.",
        (
            Query("avg by (instance) (ray_node_cpu_utilization) / 100", "{{instance}} processors"),
            Query("max by (instance) (ray_node_mem_used / ray_node_mem_total)", "{{instance}} memory"),
        ),
        unit="percentunit",
        maximum=1.0,
        limits=((0.9, "orange"),),
    ),
    Panel(
        "Requests that wait in HAProxy",
        "For a router replica that has 128 in flight; two seconds at most. The plain profile has no HAProxy.",
        one('sum by (proxy) (haproxy_backend_current_queue{proxy=~".*($workload).*"})', "{{proxy}}"),
    ),
)

SERVICE = Dashboard(
    "raysonde-service",
    "raysonde: service",
    "Requests, latencies and arms, and the journal, replicas and nodes behind them.",
    (WORKLOAD, ARM),
    (
        Row("Now", _NOW),
        Row("Requests", _REQUESTS),
        Row("Arms", _ARMS),
        Row("Journal, replicas, nodes", _BELOW),
    ),
)
