"""The handler of the route that receives truths."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from deployments.http.bodies import MAX_BATCH_BYTES, json_response, read_body
from deployments.inference.service import PredictionService


class Truths:
    """The handler of one workload."""

    def __init__(self, service: PredictionService) -> None:
        self._service = service

    async def feedback(self, request: Request) -> Response:
        """Answer POST /feedback. Raises the errors of `PredictionService.take_truths`, and TooLarge."""
        counts = await self._service.take_truths(await read_body(request, MAX_BATCH_BYTES))
        return json_response(vars(counts), status=202)
