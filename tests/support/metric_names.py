"""Every metric that a rule or a dashboard may ask for, with its labels."""

from __future__ import annotations

from collections.abc import Mapping

from deployments.telemetry.metrics.catalogue import METRICS, Metric
from tests.support.promql import rules

_ENDS = {"histogram": ("_bucket", "_count", "_sum"), "gaugehistogram": ("_bucket",)}

# Of others, as they were seen on a running system: Ray 2.60, and the HAProxy that comes with it.
OF_OTHERS: Mapping[str, tuple[str, ...]] = {
    "up": ("job", "instance"),
    "ray_node_cpu_utilization": ("instance",),
    "ray_node_mem_used": ("instance",),
    "ray_node_mem_total": ("instance",),
    "ray_serve_replica_processing_queries": ("application", "deployment", "replica"),
    "ray_serve_deployment_replica_healthy": ("application", "deployment", "replica"),
    "haproxy_frontend_denied_connections_total": ("proxy",),
    "haproxy_frontend_http_responses_total": ("proxy", "code"),
    "haproxy_backend_active_servers": ("proxy",),
    "haproxy_backend_current_queue": ("proxy",),
    "haproxy_backend_http_responses_total": ("proxy", "code"),
}


def _samples(metric: Metric) -> dict[str, tuple[str, ...]]:
    labels = (*metric.all_labels, "le")
    ends = _ENDS.get(metric.kind)
    return {metric.name + end: labels for end in ends} if ends else {metric.name: metric.all_labels}


def known_labels() -> dict[str, frozenset[str]]:
    """Labels by the name of a sample; of a recorded one those that stand before its first colon."""
    known: dict[str, tuple[str, ...]] = dict(OF_OTHERS)
    for metric in METRICS.values():
        known |= _samples(metric)
    for rule in rules():
        if record := rule.get("record"):
            known[record] = tuple(record.split(":")[0].split("_"))
    return {name: frozenset(labels) for name, labels in known.items()}
