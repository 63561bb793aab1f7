<<<<<<< b1793c09160fdd5561bbf22cc975ba1bce1a3175
"""HTTP of one workload: the ASGI stack of a router replica, from the socket to the routes."""
=======
"""HTTP of one workload: the routes under `/{workload}`, each a few lines over the `ServingStack`."""
>>>>>>> 91a2e358b8b5fb41c16dc479f9e656975b6b2738

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware import Middleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp

from deployments.http import problems
from deployments.http.auth import KeyGuard
from deployments.http.error_log import ErrorLog
from deployments.http.feedback import Truths, add_feedback
from deployments.http.info import WaitingFor, add_info
from deployments.http.monitoring import add_monitoring
from deployments.http.prediction import Predictions, add_predictions
from deployments.http.promotion import add_promotions
from deployments.http.request_metrics import RequestCounts, RequestMetricsMiddleware
from deployments.http.retraining import add_retraining
<<<<<<< b1793c09160fdd5561bbf22cc975ba1bce1a3175
from deployments.http.traffic import add_traffic
from deployments.inference.service import PredictionService
=======
from deployments.inference.routing_follower import RoutingFollower
from deployments.inference.service import PredictionService
from deployments.inference.stack import ServingStack
from deployments.requests.schema import instance_json_schema
from deployments.requests.validation_errors import read_model
>>>>>>> 91a2e358b8b5fb41c16dc479f9e656975b6b2738
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
    service: PredictionService,
    api: FastAPI,
    key: str,
    counts: RequestCounts,
    tracing: Tracing,
    *,
    open_on_loopback: bool,
) -> WorkloadApp:
    """Put the stack of a workload together, from the inside out.

    Args:
        service: answers requests.
        api: of `build_api`.
        key: the one that requests carry.
        counts: takes every request, those without the key included.
        tracing: of this process.
        open_on_loopback: whether requests of this machine need no key.
    """
    workload = service.contract.workload
    app: ASGIApp = route_requests(service, api)
    app = tracing.around(app)  # a span a prediction, where spans are wanted
    app = KeyGuard(app, key, open_on_loopback=open_on_loopback)  # 401 without the key
    error_log = ErrorLog(app, workload, tracing.trace_id)  # a line of the log an answered problem
    return WorkloadApp(RequestMetricsMiddleware(error_log, counts), error_log)


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
    """The route, with the same answers for errors and faults as those of `problems.install`."""
    faults = Middleware(ServerErrorMiddleware, handler=problems.answer_fault)
    return Route(path, problems.answering(endpoint), methods=["POST"], middleware=[faults])


def build_api(
    stack: ServingStack, watched: MonitorFeed | None = None, waiting_for: WaitingFor | None = None
) -> FastAPI:
    """The FastAPI application of a workload: it documents all routes, and answers all but the busy ones.

    Args:
        stack: of this router replica.
        watched: where the Monitor writes what it sees; without it there are no routes for that.
        waiting_for: arms that any of the router replicas waits for; None: this one is the only one.
    """
    contract, service, follower = stack.contract, stack.service, stack.follower
    app = FastAPIOffline(
        redoc_url=None,
        title=f"raysonde: {contract.workload}",
        description=contract.description,
        version=contract.schema_version,
    )
    problems.install(app)
<<<<<<< b1793c09160fdd5561bbf22cc975ba1bce1a3175
    add_predictions(app, service, Predictions(service))
    add_feedback(app, service, Truths(service))
    add_info(app, service, waiting_for)
    add_traffic(app, service)
    if watched is not None:
        add_monitoring(app, watched, contract.workload)
    add_retraining(app, service.store, contract.workload)
    add_promotions(app, service)
    _add_examples(app, service)
    return app


def _add_examples(app: FastAPI, service: PredictionService) -> None:
    """Let the OpenAPI document show an answer that the running model gave, and a truth for it."""
    target = service.contract.target
=======
    _add_predictions(app, service)
    _add_feedback(app, service)
    _add_reading(app, stack, waiting_for)
    _add_traffic(app, follower)
    if watched is not None:
        add_monitoring(app, watched, contract.workload)
    add_retraining(app, stack.store, contract.workload)
    add_promotions(app, stack.store, contract.workload, follower.arms)
>>>>>>> 91a2e358b8b5fb41c16dc479f9e656975b6b2738
    write_openapi = app.openapi

    def openapi() -> dict[str, Any]:
        text = write_openapi()
        if follower.table:
            content = text["paths"]["/traffic"]["put"]["requestBody"]["content"]["application/json"]
<<<<<<< b1793c09160fdd5561bbf22cc975ba1bce1a3175
            content["example"] = service.table.policy.model_dump(mode="json", exclude_defaults=True)
        answer = service.example_answer
=======
            content["example"] = follower.table.policy.model_dump(mode="json", exclude_defaults=True)
        answer, target = follower.example_answer, contract.target
>>>>>>> 91a2e358b8b5fb41c16dc479f9e656975b6b2738
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
<<<<<<< b1793c09160fdd5561bbf22cc975ba1bce1a3175
=======
    return app


def _add_predictions(app: FastAPI, service: PredictionService) -> None:
    contract = service.contract
    example = contract.example
    predictions = Predictions(service)

    @app.post(
        "/predict",
        summary="Predict one instance",
        openapi_extra=docs.json_body(instance_json_schema(contract), example),
        responses=docs.json_answers(
            200,
            docs.prediction_schema(contract),
            "the prediction, and how sure it is",
            400,
            401,
            409,
            413,
            422,
            503,
        ),
    )
    async def predict(request: Request, arm: ArmHeader = None) -> Response:
        return await predictions.predict(request, arm)

    @app.post(
        "/batch_predict",
        summary="Predict up to 10,000 instances, answered in order",
        openapi_extra=docs.json_body(docs.batch_schema(contract), {"instances": [example]}),
        responses=docs.json_answers(
            200,
            docs.batch_answer_schema(contract),
            "one prediction an instance, sent as they come; cut off where no arm answers on the way",
            400,
            401,
            409,
            413,
            422,
            503,
        ),
    )
    async def batch_predict(request: Request, arm: ArmHeader = None) -> Response:
        return await predictions.batch_predict(request, arm)


def _add_feedback(app: FastAPI, service: PredictionService) -> None:
    target = service.contract.target
    truths = Truths(service)
    example = {"items": [{"id": "01JZX3N8Q2W5T7Y9KQ4R6M8P0A", "truth": {target.name: target.example_truth}}]}

    @app.post(
        "/feedback",
        status_code=202,
        summary="Send what turned out to be true",
        openapi_extra=docs.json_body(service.feedback.model.model_json_schema(), example),
        response_model=FeedbackAnswer,
        responses=docs.problem_answers(400, 401, 413, 422, 503),
    )
    async def feedback(request: Request) -> Response:
        return await truths.feedback(request)


def _add_reading(app: FastAPI, stack: ServingStack, waiting_for: WaitingFor | None) -> None:
    @app.get("/healthz", summary="Whether requests are answered", responses=docs.problem_answers(503))
    async def healthz(response: Response) -> Health:
        waiting = await waiting_for() if waiting_for else stack.follower.waiting_for
        response.status_code = 503 if waiting else 200
        return Health(status="starting" if waiting else "ready", waiting_for=waiting)

    @app.get("/info", summary="Arms with their models, versions and metrics")
    async def info() -> Info:
        return describe(stack)

    @app.get("/schema", summary="The contract as JSON Schema")
    async def schema() -> Response:
        return json_response(instance_json_schema(stack.contract))


def _add_traffic(app: FastAPI, follower: RoutingFollower) -> None:
    @app.get("/traffic", summary="The routing policy", responses=docs.problem_answers(503))
    async def traffic() -> RoutingTable:
        if follower.table is None:
            raise Unavailable("no routing table yet")
        return follower.table

    @app.put(
        "/traffic",
        summary="Change the routing policy, on every replica within 2 s",
        openapi_extra=docs.json_body(
            RoutingPolicy.model_json_schema(), {"weights": dict.fromkeys(follower.arms, 1.0)}
        ),
        responses=docs.problem_answers(400, 401, 409, 422, 503),
    )
    async def put_traffic(request: Request, if_match: Annotated[int | None, Header()] = None) -> RoutingTable:
        body = await read_body(request, MAX_INSTANCE_BYTES)
        return await follower.put_policy(read_model(RoutingPolicy, body, "policy"), if_match)
>>>>>>> 91a2e358b8b5fb41c16dc479f9e656975b6b2738
