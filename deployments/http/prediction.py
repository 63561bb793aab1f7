"""The handlers of the two routes that predict."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from deployments.domain.predictions import Prediction, render
from deployments.http.bodies import (
    MAX_BATCH_BYTES,
    MAX_INSTANCE_BYTES,
    json_list_response,
    json_response,
    read_body,
)
from deployments.inference.service import PredictionService

# Answers a request that names this arm, or none.
Handler = Callable[[Request, str | None], Awaitable[Response]]


class Predictions:
    """The handlers of one workload.

    Both raise the errors of `PredictionService`, and TooLarge.
    """

    def __init__(self, service: PredictionService) -> None:
        self._service = service

    async def predict(self, request: Request, arm: str | None) -> Response:
        """Answer POST /predict."""
        body = await read_body(request, MAX_INSTANCE_BYTES)
        return json_response(render(self._service.contract, await self._service.predict(body, arm)))

    async def batch_predict(self, request: Request, arm: str | None) -> Response:
        """Answer POST /batch_predict. It begins with the first part; if a later one fails, it ends there."""
        body = await read_body(request, MAX_BATCH_BYTES)
        parts = self._rendered(self._service.predict_batch(body, arm))
        return await json_list_response("predictions", parts)

    async def _rendered(self, parts: AsyncGenerator[list[Prediction]]) -> AsyncGenerator[list[Any]]:
        async with aclosing(parts):
            async for part in parts:
                yield [render(self._service.contract, one) for one in part]
