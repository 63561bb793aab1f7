"""Answers the two hot routes before FastAPI, whose routing takes longer than the answer for a table row."""

from __future__ import annotations

from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.predictions import Handler, Predictions
from deployments.problems import FORESEEN, answer_fault, problem_response
from deployments.routing import ARM_HEADER
from deployments.service import Service


class Front:
    """ASGI middleware before the application of one workload; what is sent and logged is what that would.

    Args:
        app: of `build_api`; gets all other requests.
        service: answers `POST /predict` and `POST /batch_predict`.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        predictions = Predictions(service)
        self._routes = {
            "/predict": _guarded(predictions.predict),
            "/batch_predict": _guarded(predictions.batch_predict),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        app = self._routes.get(_route_of(scope), self._app) if is_post else self._app
        await app(scope, receive, send)


def _guarded(handle: Handler) -> ASGIApp:
    """The handler as an application that answers what it raises by problem documents."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await handle(request, request.headers.get(ARM_HEADER))
        except FORESEEN as error:
            response = problem_response(error, request.url.path)
        await response(scope, receive, send)

    return ServerErrorMiddleware(app, answer_fault)


def _route_of(scope: Scope) -> str:
    """The path without that under which the application is mounted, as Starlette's routing has it."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] if path.startswith(f"{root}/") else path
