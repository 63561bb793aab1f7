"""What the two routes that predict do, in one place for FastAPI, which documents them, and the `Front`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from deployments.answers import render
from deployments.bodies import MAX_BATCH_BYTES, MAX_INSTANCE_BYTES, json_response, read_body
from deployments.service import Service

# Answers a request that names this arm, or none.
Handler = Callable[[Request, str | None], Awaitable[Response]]


class Predictions:
    """The routes of one workload.

    Both raise what `Service` does, and TooLarge.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    async def predict(self, request: Request, arm: str | None) -> Response:
        """POST /predict."""
        body = await read_body(request, MAX_INSTANCE_BYTES)
        return json_response(render(self._service.contract, await self._service.predict(body, arm)))

    async def batch_predict(self, request: Request, arm: str | None) -> Response:
        """POST /batch_predict."""
        body = await read_body(request, MAX_BATCH_BYTES)
        predictions = await self._service.predict_batch(body, arm)
        return json_response({"predictions": [render(self._service.contract, one) for one in predictions]})
