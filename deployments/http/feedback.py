"""The route that receives truths. Starlette dispatches it (`app.route_requests`), FastAPI documents it."""

from __future__ import annotations

from fastapi import FastAPI
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from deployments.http import openapi as docs
from deployments.http.bodies import MAX_BATCH_BYTES, json_response, read_long_body
from deployments.http.door.caller import read_caller
from deployments.inference.service import PredictionService


class FeedbackAnswer(BaseModel):
    """Counts of the truths, which are on disk by now; the first three sum to how many were sent."""

    accepted: int = Field(description="first truth of a known prediction")
    duplicate: int = Field(description="the id has a truth already, which stands; this one is kept beside it")
    unmatched: int = Field(description="no prediction of this id yet; joined when it comes")
    conflicting: int = Field(description="of the duplicates, those that say something else")


class Truths:
    """The endpoint of one workload that receives truths."""

    def __init__(self, service: PredictionService) -> None:
        self._service = service

    async def feedback(self, request: Request) -> Response:
        """Answer POST /feedback. Raises the errors of `PredictionService.take_truths`, and TooLarge."""
        body = await read_long_body(request, MAX_BATCH_BYTES)
        counts = await self._service.take_truths(body, read_caller(request.scope))
        return json_response(vars(counts), status=202)


def add_feedback(app: FastAPI, service: PredictionService, truths: Truths) -> None:
    """Document the route."""
    target = service.contract.target
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
