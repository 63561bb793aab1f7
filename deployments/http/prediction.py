"""The routes that predict. Starlette dispatches them (`app.route_requests`), FastAPI documents them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Header
from starlette.requests import Request
from starlette.responses import Response

from deployments.domain.predictions import Prediction, render
from deployments.domain.routing import ARM_HEADER
from deployments.http import openapi as docs
from deployments.http.bodies import (
    MAX_BATCH_BYTES,
    json_list_response,
    json_response,
    read_body,
    read_long_body,
)
from deployments.http.door.caller import PROBE_HEADER, read_caller
from deployments.inference.service import PredictionService
from deployments.requests.json_bodies import MAX_INSTANCE_BYTES
from deployments.requests.schema import instance_json_schema

ArmHeader = Annotated[str | None, Header(alias=ARM_HEADER, description="answer by this arm and no other")]
ProbeHeader = Annotated[
    Literal["0", "1"] | None,
    Header(alias=PROBE_HEADER, description="1: a probe, left out of monitoring, experiments and training"),
]

# statuses of the problems that both routes answer
_PROBLEMS = (400, 401, 409, 413, 422, 503)


class Predictions:
    """The endpoints of one workload that predict, by the arm that the request names or by any.

    Both raise the errors of `PredictionService`, and TooLarge.
    """

    def __init__(self, service: PredictionService) -> None:
        self._service = service

    async def predict(self, request: Request) -> Response:
        """Answer POST /predict."""
        body = await read_body(request, MAX_INSTANCE_BYTES)
        caller = read_caller(request.scope)
        prediction = await self._service.predict(body, request.headers.get(ARM_HEADER), caller=caller)
        return json_response(render(self._service.contract, prediction))

    async def batch_predict(self, request: Request) -> Response:
        """Answer POST /batch_predict. It begins with the first part; if a later one fails, it ends there."""
        body = await read_long_body(request, MAX_BATCH_BYTES)
        caller = read_caller(request.scope)
        parts = self._service.predict_batch(body, request.headers.get(ARM_HEADER), caller=caller)
        return await json_list_response("predictions", self._rendered(parts))

    async def _rendered(self, parts: AsyncGenerator[list[Prediction]]) -> AsyncGenerator[list[Any]]:
        async with aclosing(parts):
            async for part in parts:
                yield [render(self._service.contract, one) for one in part]


def add_predictions(app: FastAPI, service: PredictionService, predictions: Predictions) -> None:
    """Document both routes; headers are declared for the document, the endpoints read them themselves."""
    contract = service.contract
    example = contract.example

    @app.post(
        "/predict",
        summary="Predict one instance",
        openapi_extra=docs.json_body(instance_json_schema(contract), example),
        responses=docs.json_answers(
            200, docs.prediction_schema(contract), "the prediction, and how sure it is", *_PROBLEMS
        ),
    )
    async def predict(request: Request, arm: ArmHeader = None, probe: ProbeHeader = None) -> Response:
        del arm, probe
        return await predictions.predict(request)

    @app.post(
        "/batch_predict",
        summary="Predict up to 10,000 instances, answered in order",
        openapi_extra=docs.json_body(docs.batch_schema(contract), {"instances": [example]}),
        responses=docs.json_answers(
            200,
            docs.batch_answer_schema(contract),
            "one prediction an instance, sent as they come; cut off where no arm answers on the way",
            *_PROBLEMS,
        ),
    )
    async def batch_predict(request: Request, arm: ArmHeader = None, probe: ProbeHeader = None) -> Response:
        del arm, probe
        return await predictions.batch_predict(request)
