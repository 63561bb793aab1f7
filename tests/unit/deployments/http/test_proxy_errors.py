from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from deployments.domain.errors import Unavailable
from deployments.http.problems import MEDIA_TYPE, problem_response, to_problem
from deployments.http.proxy_errors import middlewares


async def _plain(request: Request) -> Response:
    return PlainTextResponse("Traceback of something inside", int(request.path_params["status"]))


async def _ours(request: Request) -> Response:
    return problem_response(Unavailable("the arm is busy", retry_after_s=7), request.url.path)


async def _json(request: Request) -> Response:
    return JSONResponse({"prediction": 1.5})


async def _pieces(request: Request) -> Response:
    async def text() -> AsyncIterator[str]:
        for piece in ("Traceback ", "in pieces"):
            yield piece

    return StreamingResponse(text(), 503, media_type="text/plain")


ROUTES = [
    Route("/plain/{status}", _plain),
    Route("/ours", _ours),
    Route("/json", _json),
    Route("/pieces", _pieces),
]


async def get(path: str) -> httpx.Response:
    app = Starlette(routes=ROUTES, middleware=middlewares())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return await client.get(path)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, "not-found"), (408, "request-timeout"), (500, "fault"), (503, "unavailable")],
)
async def test_what_serve_says_as_plain_text_is_a_problem_document(status: int, kind: str) -> None:
    answer = await get(f"/plain/{status}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.json()["type"] == f"urn:problem-type:raysonde:{kind}"
    assert answer.json()["instance"] == f"/plain/{status}"
    assert "Traceback" not in answer.text
    assert int(answer.headers["content-length"]) == len(answer.content)


async def test_a_refusal_has_the_time_to_retry_after() -> None:
    assert (await get("/plain/503")).headers["retry-after"] == "1"


async def test_an_error_in_several_pieces_becomes_one_document() -> None:
    answer = await get("/pieces")
    assert (answer.status_code, answer.json()["status"]) == (503, 503)
    assert "Traceback" not in answer.text


async def test_what_is_ours_passes_as_it_is() -> None:
    answer = await get("/ours")
    assert answer.json() == to_problem(Unavailable("the arm is busy"), "/ours").model_dump(exclude_none=True)
    assert answer.headers["retry-after"] == "7"
    assert (await get("/json")).json() == {"prediction": 1.5}


async def test_plain_text_that_is_no_error_passes_as_it_is() -> None:
    assert (await get("/plain/200")).text == "Traceback of something inside"
