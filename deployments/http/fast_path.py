"""Answers the hot routes before FastAPI, whose routing takes longer than the answer for a table row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.domain.paths import route_name
from deployments.domain.routing import ARM_HEADER
from deployments.http.feedback import Truths
from deployments.http.prediction import Handler, Predictions
from deployments.http.problems import FORESEEN, answer_fault, problem_response
from deployments.inference.service import PredictionService


class FastPath:
    """ASGI middleware before the application of one workload; what is sent and logged is what that would.

    Args:
        app: of `build_api`; gets all other requests.
        service: answers `POST /predict`, `POST /batch_predict` and `POST /feedback`.
    """

    def __init__(self, app: ASGIApp, service: PredictionService) -> None:
        self._app = app
        predictions = Predictions(service)
        self._routes = {
            "/predict": _guarded(_by_arm(predictions.predict)),
            "/batch_predict": _guarded(_by_arm(predictions.batch_predict)),
            "/feedback": _guarded(Truths(service).feedback),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        app = self._routes.get(route_name(scope), self._app) if is_post else self._app
        await app(scope, receive, send)


def _by_arm(handle: Handler) -> Callable[[Request], Awaitable[Response]]:
    """The handler, with the arm that the request names."""

    async def handle_request(request: Request) -> Response:
        return await handle(request, request.headers.get(ARM_HEADER))

    return handle_request


def _guarded(handle: Callable[[Request], Awaitable[Response]]) -> ASGIApp:
    """The handler as an application that answers what it raises by problem documents."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await handle(request)
        except FORESEEN as error:
            response = problem_response(error, request.url.path)
        await response(scope, receive, send)

    return ServerErrorMiddleware(app, answer_fault)
