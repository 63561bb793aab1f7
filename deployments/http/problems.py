"""RFC 9457 problem documents: every error that a client sees, from one table.

`install(app)` puts the handlers on a FastAPI or Starlette application, `answering` on one endpoint. A fault
of ours becomes a 500 without details; the log has the traceback.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from deployments.domain.errors import (
    ClientLeft,
    Conflict,
    IdInUse,
    InvalidFields,
    MalformedJson,
    NotFound,
    Overloaded,
    TooLarge,
    TooManyFailures,
    TooSlow,
    Unauthorized,
    Unavailable,
    UnknownEncoding,
)
from features.errors import FieldError, InvalidInput, SchemaVersionError, cut, printable

MEDIA_TYPE = "application/problem+json"
# The key of the scope under which an answered problem leaves its kind, for the metrics.
PROBLEM_KIND = "raysonde.problem"
_TYPE_PREFIX = "urn:problem-type:raysonde:"
# An answer stays below 64 KB with these, whatever was sent: see `features.errors` too.
_MAX_DETAIL = 2000
_MAX_PATH = 500
_log = logging.getLogger(__name__)

Endpoint = Callable[[Request], Awaitable[Response]]


class FieldProblem(BaseModel):
    """The error of one field."""

    model_config = ConfigDict(frozen=True)

    field: str = Field(description="path of the field, for example samples[3].altitude_m")
    value: Any = Field(
        default=None, description="what was sent, cut when it is long; not there if nothing was"
    )
    expected: str = Field(description="what would have been accepted, with units")


class Problem(BaseModel):
    """The body of an error (RFC 9457, section 3.1), with extension members for wrong fields."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(description="identifies the kind of problem")
    title: str = Field(description="the kind in words, always the same for a type")
    status: int = Field(description="HTTP status")
    detail: str = Field(description="what happened this time and what to do")
    instance: str | None = Field(default=None, description="path of the request")
    field: str | None = Field(default=None, description="path of the wrong field")
    value: Any = Field(default=None, description="what was sent, cut when it is long")
    expected: str | None = Field(default=None, description="what would have been accepted, with units")
    errors: tuple[FieldProblem, ...] | None = Field(
        default=None, description="the fields, when several are wrong: the first 20"
    )
    more_errors: int | None = Field(
        default=None, description="wrong fields beside those of `errors`, as far as the body was read"
    )


@dataclass(frozen=True)
class _Rule:
    exception: type[Exception]
    status: int
    kind: str
    title: str


# The first rule that fits decides, so subclasses stand before their bases.
_RULES = (
    _Rule(SchemaVersionError, 409, "schema-version", "The schema version is not the one that is served"),
    _Rule(FieldError, 422, "invalid-field", "A field holds what its contract does not allow"),
    _Rule(InvalidFields, 422, "invalid-fields", "Several fields hold what the contract does not allow"),
    _Rule(InvalidInput, 422, "invalid-input", "The input is not valid"),
    _Rule(MalformedJson, 400, "malformed-json", "The body is not JSON"),
    _Rule(UnknownEncoding, 415, "unknown-encoding", "The body is in an encoding that is not read"),
    _Rule(TooLarge, 413, "too-large", "The request is too large"),
    _Rule(Unauthorized, 401, "unauthorized", "A key is needed"),
    _Rule(TooManyFailures, 429, "too-many-requests", "Too Many Requests"),
    _Rule(TooSlow, 408, "request-timeout", "Request Timeout"),
    _Rule(ClientLeft, 499, "client-left", "The client closed the connection"),
    _Rule(NotFound, 404, "not-found", "There is no such thing"),
    _Rule(IdInUse, 409, "id-in-use", "The id stands for another instance"),
    _Rule(Conflict, 409, "conflict", "The state is not the expected one"),
    _Rule(Overloaded, 503, "overload", "More requests come than can be answered"),
    _Rule(Unavailable, 503, "unavailable", "No answer can be had now"),
)
# The errors that are answered without a traceback in the log.
FORESEEN = tuple(rule.exception for rule in _RULES)
_FAULT_DETAIL = "The request was not at fault; the log has the cause."
_FAULT = _Rule(Exception, 500, "fault", "A fault inside the service")


def to_problem(error: Exception, path: str | None = None) -> Problem:
    """Return the problem document of an exception; one that is not foreseen becomes a bare 500."""
    path = None if path is None else cut(path, _MAX_PATH)
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        kind = status.phrase.lower().replace(" ", "-")
        return Problem(
            type=_TYPE_PREFIX + kind,
            title=status.phrase,
            status=status,
            detail=cut(str(error.detail), _MAX_DETAIL),
            instance=path,
        )
    if isinstance(error, RequestValidationError):
        return to_problem(_invalid_fields(error), path)
    rule = next((rule for rule in _RULES if isinstance(error, rule.exception)), _FAULT)
    detail = _FAULT_DETAIL if rule is _FAULT else cut(str(error), _MAX_DETAIL)
    problem = Problem(
        type=_TYPE_PREFIX + rule.kind, title=rule.title, status=rule.status, detail=detail, instance=path
    )
    if isinstance(error, FieldError | SchemaVersionError):
        return problem.model_copy(update=_field_problem(error).model_dump())
    if isinstance(error, InvalidFields):
        errors = tuple(map(_field_problem, error.errors))
        return problem.model_copy(update={"errors": errors, "more_errors": error.more or None})
    return problem


def problem_kind(error: Exception) -> str:
    """Return the end of the type of an exception's problem document, for example `malformed-json`."""
    return to_problem(error).type.removeprefix(_TYPE_PREFIX)


class _ProblemResponse(Response):
    """A response that leaves its kind of problem on the scope."""

    def __init__(self, problem: Problem, headers: dict[str, str]) -> None:
        body = orjson.dumps(problem.model_dump(exclude_none=True))
        super().__init__(body, problem.status, headers, MEDIA_TYPE)
        self._kind = problem.type.removeprefix(_TYPE_PREFIX)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[PROBLEM_KIND] = self._kind
        await super().__call__(scope, receive, send)


def problem_response(error: Exception, path: str | None = None) -> Response:
    """Make the response for an exception, with the headers that its status needs."""
    problem = to_problem(error, path)
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if isinstance(error, Unavailable | TooManyFailures):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    return _ProblemResponse(problem, headers)


def install(app: Starlette) -> None:
    """Answer every exception of `app` by its problem document."""
    for exception in (*FORESEEN, HTTPException, RequestValidationError):
        app.add_exception_handler(exception, _answer)
    app.add_exception_handler(Exception, answer_fault)


def answering(endpoint: Endpoint) -> Endpoint:
    """Let the foreseen exceptions of one endpoint be answered by their problem documents.

    What fails after the answer has begun is no longer of the endpoint, and is raised as it is.
    """

    @wraps(endpoint)
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except FORESEEN as error:
            return problem_response(error, request.url.path)

    return answer


async def answer_fault(request: Request, error: Exception) -> Response:
    """Log the traceback of an internal fault, and return its response; a client that left is no fault."""
    if isinstance(error, ClientDisconnect):
        return problem_response(ClientLeft("the client left before its body was whole"), request.url.path)
    labels = {"http_request_id": request.headers.get("x-request-id")}
    _log.error("fault at %s", request.url.path, exc_info=error, extra=labels)
    return problem_response(error, request.url.path)


async def _answer(request: Request, error: Exception) -> Response:
    return problem_response(error, request.url.path)


def _field_problem(error: FieldError | SchemaVersionError) -> FieldProblem:
    return FieldProblem(field=error.field, value=_json_value(error.value), expected=error.expected)


def _json_value(value: Any) -> Any:
    """Return a value as JSON can carry it: short scalars as they are, all else as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 2**53):
        return value
    return value if isinstance(value, str) and len(value) <= 80 else printable(value)


def _invalid_fields(error: RequestValidationError) -> InvalidInput:
    """Convert FastAPI's errors of a query, a header or a body."""
    found = tuple(
        FieldError(".".join(map(str, one["loc"][1:] or one["loc"])), one.get("input"), one["msg"].lower())
        for one in error.errors()
    )
    return found[0] if len(found) == 1 else InvalidFields(found)
