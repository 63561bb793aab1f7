"""The interface of tracing for the code that serves: requests through router, scaler and arm.

OpenTelemetry is imported (`deployments.actors.tracing_sdk`) where tracing is enabled and nowhere else.
Elsewhere there is `NO_TRACING`, which does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from deployments.runtime.batching import Coalescer

if TYPE_CHECKING:  # of the Router, which scaler and arms do without
    from starlette.types import ASGIApp

    from deployments.domain.downstream import Downstream
    from deployments.domain.predictions import Prediction
    from training.runtime.environment import Environment

_NO_SPAN: AbstractContextManager[str | None] = nullcontext()


class Tracing:
    """Tracing that does nothing; its subclass in `deployments.actors.tracing_sdk` makes spans.

    Attributes:
        coalescer: of the requests of a router replica.
    """

    coalescer: Callable[..., Coalescer[Any, Any, Any]] = Coalescer

    def around(self, app: ASGIApp) -> ASGIApp:
        """Wrap the routes of a workload: each request with instances or truths gets a span."""
        return app

    def around_downstream(self, downstream: Downstream) -> Downstream:
        """Wrap scaler and arms: each call for a traced request gets a span."""
        return downstream

    def answered(self, predictions: Sequence[Prediction]) -> str | None:
        """Note the predictions in the span of the present request; return the id of its trace, if any."""
        del predictions
        return None

    def trace_id(self) -> str | None:
        """Return the trace id of the present request; None where it is not traced."""
        return None

    def called(
        self, name: str, trace: str | None, **attributes: str | int
    ) -> AbstractContextManager[str | None]:
        """Open a span for a call of another process.

        Args:
            name: of the span.
            trace: `traceparent` that came with the call; there is no span where none came.
            attributes: of the span.

        Returns:
            A context manager, whose value is the `traceparent` for what is called in turn.
        """
        del name, trace, attributes
        return _NO_SPAN

    def step(self, name: str, trace: str | None) -> AbstractContextManager[str | None]:
        """Open a span for a part of the call that `called` has begun."""
        del name, trace
        return _NO_SPAN

    def close(self) -> None:
        """Send the waiting spans, for two seconds at most."""


NO_TRACING = Tracing()


def exports_to_collector(environment: Environment) -> bool:
    """Return whether spans go to a collector."""
    is_other = environment.otel_traces_exporter.strip() not in ("", "otlp")
    return not is_other and bool(environment.otel_traces_endpoint or environment.otel_endpoint)
