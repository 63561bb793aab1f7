"""Traces of requests through router, scaler and arm: what the code that serves knows of them.

OpenTelemetry is imported (`deployments.actors.tracing_sdk`) where traces are wanted and nowhere else.
Elsewhere there is `NO_TRACING`, which leaves everything as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from deployments.runtime.batching import Coalescer

if TYPE_CHECKING:  # of the Router, which scaler and arms do without
    from starlette.types import ASGIApp

    from deployments.domain.downstream import Downstream
    from deployments.domain.predictions import Prediction

# a folder for spans as JSON lines
FOLDER_VARIABLE = "RAYSONDE_TRACES"
_ENDPOINT_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_NO_SPAN: AbstractContextManager[str | None] = nullcontext()


class Tracing:
    """No traces. Its heir in `deployments.actors.tracing_sdk` makes them.

    Attributes:
        coalescer: of the requests of a router replica.
    """

    coalescer: Callable[..., Coalescer[Any, Any, Any]] = Coalescer

    def around(self, app: ASGIApp) -> ASGIApp:
        """The routes of a workload, each request that predicts or tells truths in a span."""
        return app

    def around_downstream(self, downstream: Downstream) -> Downstream:
        """The scaler and the arms, each call for a traced request in a span."""
        return downstream

    def answered(self, predictions: Sequence[Prediction]) -> str | None:
        """Note the predictions in the span of the present request; return the id of its trace, if any."""
        del predictions
        return None

    def trace_id(self) -> str | None:
        """Of the present request; None where it is not traced."""
        return None

    def called(
        self, name: str, trace: str | None, **attributes: str | int
    ) -> AbstractContextManager[str | None]:
        """A span for a call of another process.

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
        """A span for a part of what `called` has begun."""
        del name, trace
        return _NO_SPAN

    def close(self) -> None:
        """Send what waits, for two seconds at most."""


NO_TRACING = Tracing()


def to_collector(environment: Mapping[str, str]) -> bool:
    """Whether spans go to a collector."""
    is_other = environment.get("OTEL_TRACES_EXPORTER", "").strip() not in ("", "otlp")
    return not is_other and any(environment.get(name) for name in _ENDPOINT_VARIABLES)
