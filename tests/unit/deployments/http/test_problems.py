import json
import logging
import pickle
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Query
from starlette.exceptions import HTTPException

from deployments.domain.errors import (
    Conflict,
    InvalidFields,
    MalformedJson,
    NoArmAvailable,
    NotFound,
    Overloaded,
    RequestError,
    TooLarge,
    Unauthorized,
)
from deployments.http.problems import install, problem_response, to_problem
from deployments.store import StoreUnavailable
from features.errors import FieldError, InvalidInput, SchemaVersionError

FIELD = FieldError("samples[3].altitude_m", 2e5, "a finite number of m in [-500, 100000]")
ERRORS: dict[int, list[Exception]] = {
    400: [MalformedJson("The body is not JSON")],
    401: [Unauthorized("Send the key")],
    404: [NotFound("no experiment 7"), HTTPException(404)],
    405: [HTTPException(405)],
    409: [SchemaVersionError("0.9", "1.0"), Conflict("revision 3, not 2")],
    413: [TooLarge("10001 instances")],
    422: [FIELD, InvalidFields((FIELD, FIELD)), InvalidInput("no")],
    429: [HTTPException(429, headers={"Retry-After": "7"})],
    500: [RuntimeError("secret"), KeyError("secret")],
    503: [Overloaded("full", 2.2), NoArmAvailable("none"), StoreUnavailable("locked")],
}


@pytest.mark.parametrize(("status", "error"), [(s, e) for s, errors in ERRORS.items() for e in errors])
def test_every_error_has_its_status_and_is_a_problem_document(status: int, error: Exception) -> None:
    response = problem_response(error, "/apogee/predict")
    content = json.loads(bytes(response.body))
    assert response.status_code == content["status"] == status
    assert response.headers["content-type"] == "application/problem+json"
    assert content["instance"] == "/apogee/predict"
    assert content["type"].startswith("urn:problem-type:raysonde:")
    assert content["title"]
    assert content["detail"]
    assert ("retry-after" in response.headers) == (status in (429, 503))
    assert ("www-authenticate" in response.headers) == (status == 401)


def test_a_wrong_field_is_named_with_its_value_and_what_was_expected() -> None:
    problem = to_problem(FIELD)
    assert (
        problem.detail
        == "samples[3].altitude_m: got 200000.0, expected a finite number of m in [-500, 100000]"
    )
    assert (problem.field, problem.value, problem.expected) == (FIELD.field, 2e5, FIELD.expected)


def test_several_wrong_fields_are_listed() -> None:
    other = FieldError("id", 7, "text")
    problem = to_problem(InvalidFields((FIELD, other)))
    assert problem.errors is not None
    assert [(one.field, one.value) for one in problem.errors] == [(FIELD.field, 2e5), ("id", 7)]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (2**70, str(2**70)),
        ("x" * 100, "'" + "x" * 76 + "..."),
        ([1, 2], "[1, 2]"),
        (None, None),
        (True, True),
    ],
)
def test_any_value_can_be_shown(value: Any, shown: Any) -> None:
    response = problem_response(FieldError("f", value, "e"))
    assert json.loads(bytes(response.body)).get("value") == shown


def test_waits_are_whole_seconds_rounded_up() -> None:
    assert problem_response(Overloaded("full", 2.2)).headers["retry-after"] == "3"
    assert problem_response(Overloaded("full", 0.1)).headers["retry-after"] == "1"


def test_a_fault_says_nothing_of_the_inside() -> None:
    assert b"secret" not in bytes(problem_response(RuntimeError("secret")).body)


@pytest.mark.parametrize(
    "error", [e for errors in ERRORS.values() for e in errors if isinstance(e, RequestError)], ids=repr
)
def test_request_errors_survive_pickling(error: RequestError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


async def test_installed_on_an_application(caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()
    install(app)

    @app.get("/field")
    def field() -> None:
        raise FIELD

    @app.get("/fault")
    def fault() -> None:
        raise RuntimeError("secret")

    @app.get("/query")
    def query(limit: int = Query(ge=1)) -> int:
        return limit

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answers = {
            path: await client.get(path) for path in ("/field", "/fault", "/query?limit=0", "/nowhere")
        }
        not_allowed = await client.post("/field")
    assert {path: answer.status_code for path, answer in answers.items()} == {
        "/field": 422,
        "/fault": 500,
        "/query?limit=0": 422,
        "/nowhere": 404,
    }
    assert all(
        a.headers["content-type"] == "application/problem+json" for a in [*answers.values(), not_allowed]
    )
    assert answers["/query?limit=0"].json()["field"] == "limit"
    assert answers["/nowhere"].json()["type"] == "urn:problem-type:raysonde:not-found"
    assert (not_allowed.status_code, not_allowed.headers["allow"]) == (405, "GET")
    assert "secret" not in answers["/fault"].text
    assert "RuntimeError: secret" in caplog.text
    assert caplog.records[-1].levelno == logging.ERROR
