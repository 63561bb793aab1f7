"""The tracing of this process, by its environment."""

from __future__ import annotations

<<<<<<< f2da0f95687f5851889465d2559b996dd086d054
from deployments.telemetry.tracing.api import NO_TRACING, Tracing, to_collector
from training.runtime.environment import Environment


def is_wanted(environment: Environment) -> bool:
    """Whether spans have somewhere to go, and OpenTelemetry's variables do not turn them off."""
    if environment.otel_sdk_disabled.strip().lower() == "true":
        return False
    return to_collector(environment) or environment.traces is not None


def open_tracing_if_wanted(environment: Environment, workload: str, part: str) -> Tracing:
    """The traces of this process, as the environment has them.
=======
from collections.abc import Mapping

from deployments.telemetry.tracing.api import FOLDER_VARIABLE, NO_TRACING, Tracing, exports_to_collector


def is_wanted(environment: Mapping[str, str]) -> bool:
    """Return whether spans have a destination, and OpenTelemetry's variables do not turn them off."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    return exports_to_collector(environment) or bool(environment.get(FOLDER_VARIABLE))


def open_tracing_if_wanted(environment: Mapping[str, str], workload: str, part: str) -> Tracing:
    """Open the tracing of this process, or return `NO_TRACING`.
>>>>>>> ff97d02120b70103307469ae0b1e574f88545f3b

    Args:
        environment: of the process; OpenTelemetry reads what else it needs from `os.environ`.
        workload: whose calls they are.
        part: router, scaler or the name of an arm.
    """
    if not is_wanted(environment):
        return NO_TRACING
    from deployments.actors.tracing_sdk import open_tracing

    return open_tracing(environment, workload, part)
