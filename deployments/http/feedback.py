"""What the route that takes truths does, in one place for FastAPI, which documents it, and the `Front`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from deployments.http.bodies import MAX_BATCH_BYTES, json_response, read_body
from deployments.inference.service import PredictionService


class Truths:
    """The route of one workload."""

    def __init__(self, service: PredictionService) -> None:
        self._service = service

    async def feedback(self, request: Request) -> Response:
        """POST /feedback. Raises what `PredictionService.take_truths` does, and TooLarge."""
        counts = await self._service.take_truths(await read_body(request, MAX_BATCH_BYTES))
        return json_response(vars(counts), status=202)
