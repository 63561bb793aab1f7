"""The tracing of this process, by its environment."""

from __future__ import annotations

from deployments.telemetry.tracing.api import NO_TRACING, Tracing, exports_to_collector
from training.runtime.environment import Environment


def is_wanted(environment: Environment) -> bool:
    """Return whether spans have a destination, and OpenTelemetry's variables do not turn them off."""
    if environment.otel_sdk_disabled.strip().lower() == "true":
        return False
    return exports_to_collector(environment) or environment.traces is not None


def open_tracing_if_wanted(environment: Environment, workload: str, part: str) -> Tracing:
    """Open the tracing of this process, or return `NO_TRACING`.

    Args:
        environment: of the process; OpenTelemetry reads what else it needs from `os.environ`.
        workload: whose calls they are.
        part: router, scaler or the name of an arm.
    """
    if not is_wanted(environment):
        return NO_TRACING
    from deployments.actors.tracing_sdk import open_tracing

    return open_tracing(environment, workload, part)
