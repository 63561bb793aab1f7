"""HTTP of one workload: the routes under `/{workload}`, each a few lines over the `ServingStack`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import FastAPI, Header, Request, Response
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel, Field

from deployments.domain.errors import Unavailable
from deployments.domain.routing import ARM_HEADER, RoutingPolicy, RoutingTable
from deployments.http import openapi as docs
from deployments.http import problems
from deployments.http.bodies import MAX_INSTANCE_BYTES, json_response, read_body
from deployments.http.feedback import Truths
from deployments.http.info import Info, describe
from deployments.http.monitoring import add_monitoring
from deployments.http.prediction import Predictions
from deployments.http.promotion import add_promotions
from deployments.http.retraining import add_retraining
from deployments.inference.routing_follower import RoutingFollower
from deployments.inference.service import PredictionService
from deployments.inference.stack import ServingStack
from deployments.requests.schema import instance_json_schema
from deployments.requests.validation_errors import read_model
from deployments.store.monitor_feed import MonitorFeed

ArmHeader = Annotated[str | None, Header(alias=ARM_HEADER, description="answer by this arm and no other")]


class FeedbackAnswer(BaseModel):
    """What became of the truths, which are on disk by now; the first three sum to how many were sent."""

    accepted: int = Field(description="first truth of a known prediction")
    duplicate: int = Field(description="the id has a truth already, which stands; this one is kept beside it")
    unmatched: int = Field(description="no prediction of this id yet; joined when it comes")
    conflicting: int = Field(description="of the duplicates, those that say something else")


class Health(BaseModel):
    """Whether requests are answered."""

    status: str = Field(description="ready or starting")
    waiting_for: tuple[str, ...] = Field(description="arms that do not answer every replica yet")


WaitingFor = Callable[[], Awaitable[tuple[str, ...]]]


def build_api(
    stack: ServingStack, watched: MonitorFeed | None = None, waiting_for: WaitingFor | None = None
) -> FastAPI:
    """The application of a workload.

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
    _add_predictions(app, service)
    _add_feedback(app, service)
    _add_reading(app, stack, waiting_for)
    _add_traffic(app, follower)
    if watched is not None:
        add_monitoring(app, watched, contract.workload)
    add_retraining(app, stack.store, contract.workload)
    add_promotions(app, stack.store, contract.workload, follower.arms)
    write_openapi = app.openapi

    def openapi() -> dict[str, Any]:
        """The text, with an answer that the running model gave, and a truth for it, as examples."""
        text = write_openapi()
        if follower.table:
            content = text["paths"]["/traffic"]["put"]["requestBody"]["content"]["application/json"]
            content["example"] = follower.table.policy.model_dump(mode="json", exclude_defaults=True)
        answer, target = follower.example_answer, contract.target
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
