"""HTTP of one workload: the ASGI stack of a router replica, from the socket to the routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware import Middleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp

from deployments.http import openapi as docs
from deployments.http import problems
from deployments.http.auth import KeyGuard
from deployments.http.door.browser_headers import BrowserHeaders
from deployments.http.door.readiness import READY_PATH, IsReady, Readiness
from deployments.http.door.request_body import BodyGuard
from deployments.http.error_log import ErrorLog
from deployments.http.feedback import Truths, add_feedback
from deployments.http.info import WaitingFor, add_info
from deployments.http.monitoring import add_monitoring
from deployments.http.prediction import Predictions, add_predictions
from deployments.http.promotion import add_promotions
from deployments.http.request_metrics import RequestCounts, RequestMetricsMiddleware
from deployments.http.retraining import add_retraining
from deployments.http.traffic import add_traffic
from deployments.inference.service import PredictionService
from deployments.inference.stack import ServingStack
from deployments.store.monitor_feed import MonitorFeed
from deployments.telemetry.tracing.api import Tracing


@dataclass(frozen=True)
class WorkloadApp:
    """The stack of one workload.

    Attributes:
        asgi: takes the requests.
        error_log: the part of it that buffers lines: flush it when the replica stops.
    """

    asgi: ASGIApp
    error_log: ErrorLog


def build_app(
    stack: ServingStack,
    api: FastAPI,
    key: str,
    counts: RequestCounts,
    tracing: Tracing,
    *,
    open_on_loopback: bool,
    is_ready: IsReady | None = None,
) -> WorkloadApp:
    """Put the stack of a workload together, from the inside out.

    Args:
        stack: answers requests.
        api: of `build_api`.
        key: the one that requests carry.
        counts: takes every request, those without the key included.
        tracing: of this process.
        open_on_loopback: whether requests of this machine need no key.
        is_ready: answers the path of readiness; by a probe of the stack unless given.
    """
    workload = stack.contract.workload
    app: ASGIApp = route_requests(stack.service, api)
    app = tracing.around(app)  # a span a prediction, where spans are wanted
    app = KeyGuard(app, key, open_on_loopback=open_on_loopback)  # 401 without the key
    app = BodyGuard(app)  # 408 or 499 for a body that does not come
    error_log = ErrorLog(app, workload, tracing.trace_id)  # a line of the log an answered problem
    app = RequestMetricsMiddleware(error_log, counts)
    app = Readiness(app, {READY_PATH: is_ready or stack.probe})  # not counted: it is asked every 2 s
    return WorkloadApp(BrowserHeaders(app), error_log)


def route_requests(service: PredictionService, api: ASGIApp) -> Router:
    """Route what predicts and what takes truths to its endpoint, and all other requests to `api`.

    FastAPI's own routing takes longer than the answer for a table row (docs/decisions/0004).
    """
    predictions = Predictions(service)
    return Router(
        [
            _post("/predict", predictions.predict),
            _post("/batch_predict", predictions.batch_predict),
            _post("/feedback", Truths(service).feedback),
            Mount("", api),
        ],
        # `api` has the redirects, and answers the bare prefix of a workload, which no Mount matches
        redirect_slashes=False,
        default=api,
    )


def _post(path: str, endpoint: problems.Endpoint) -> Route:
    """Return the route; errors and faults are answered as by `problems.install`."""
    faults = Middleware(ServerErrorMiddleware, handler=problems.answer_fault)
    return Route(path, problems.answering(endpoint), methods=["POST"], middleware=[faults])


def build_api(
    stack: ServingStack, monitor_feed: MonitorFeed | None = None, waiting_for: WaitingFor | None = None
) -> FastAPI:
    """Build the FastAPI application of a workload: it documents all routes and answers all but the busy ones.

    Args:
        stack: of this router replica.
        monitor_feed: where the Monitor writes what it sees; without it there are no routes for that.
        waiting_for: arms that any of the router replicas waits for; None: this one is the only one.
    """
    contract, service = stack.contract, stack.service
    app = FastAPIOffline(
        redoc_url=None,
        title=f"raysonde: {contract.workload}",
        description=contract.description,
        version=contract.schema_version,
    )
    problems.install(app)
    add_predictions(app, service, Predictions(service))
    add_feedback(app, service, Truths(service))
    add_info(app, stack, waiting_for)
    add_traffic(app, stack.follower)
    if monitor_feed is not None:
        add_monitoring(app, monitor_feed, contract.workload)
    add_retraining(app, stack.store, contract.workload)
    add_promotions(app, stack.store, contract.workload, stack.follower.arms)
    docs.complete_openapi(app)
    _add_examples(app, stack)
    return app


def _add_examples(app: FastAPI, stack: ServingStack) -> None:
    """Let the OpenAPI document show an answer that the running model gave, and a truth for it."""
    target, follower = stack.contract.target, stack.follower
    write_openapi = app.openapi

    def openapi() -> dict[str, Any]:
        text = write_openapi()
        if follower.table:
            content = text["paths"]["/traffic"]["put"]["requestBody"]["content"]["application/json"]
            content["example"] = follower.table.policy.model_dump(mode="json", exclude_defaults=True)
        answer = follower.example_answer
        if answer:
            content = text["paths"]["/predict"]["post"]["responses"]["200"]["content"]["application/json"]
            content["example"] = answer
            content = text["paths"]["/feedback"]["post"]["requestBody"]["content"]["application/json"]
            content["example"] = {
                "items": [
                    {"id": answer["id"], "truth": {target.name: target.truth_like(answer["prediction"])}}
                ]
            }
        return text

    app.openapi = openapi  # type: ignore[method-assign]
