"""Bodies of requests and answers as bytes: read up to a limit, written by orjson."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from deployments.domain.errors import TooLarge, UnknownEncoding
from deployments.requests.json_lists import Body
from features.errors import printable

# of what administers a workload: a policy, a note
MAX_FORM_BYTES = 64 << 10
MAX_BATCH_BYTES = 64 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """Read the whole body, without the mark of UTF-8 before it; see `read_long_body`."""
    return bytes(await read_long_body(request, limit_bytes))


async def read_long_body(request: Request, limit_bytes: int) -> Body:
    """Read the whole body, and make no copy of it.

    Raises:
        TooLarge: the body is longer than allowed; raised as soon as that is known.
        UnknownEncoding: it is compressed.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise UnknownEncoding(f"Content-Encoding: got {printable(encoding)}, expected a body as it is")
    declared = request.headers.get("content-length", "0")
    received = bytearray()
    if not declared.isdigit() or int(declared) <= limit_bytes:
        async for part in request.stream():
            received += part
            if len(received) > limit_bytes:
                break
        else:
            if received.startswith(_BYTE_ORDER_MARK):
                del received[: len(_BYTE_ORDER_MARK)]
            return received
    raise TooLarge(f"body: got more than {limit_bytes:,} bytes, expected at most that")


def json_response(content: Any, status: int = 200) -> Response:
    """Make a response with this JSON."""
    return Response(orjson.dumps(content), status, media_type="application/json")


async def json_list_response(name: str, parts: AsyncGenerator[Sequence[Any]]) -> Response:
    """Make a 200 response with `{name: [...]}`, sent part by part as they come; no part is empty.

    An error of `parts` in place of its first part is raised here. A later one cuts the answer short: the
    connection ends before the JSON does.
    """
    begin = orjson.dumps({name: await anext(parts)}).removesuffix(b"]}")

    async def body() -> AsyncGenerator[bytes]:
        async with aclosing(parts):
            yield begin
            async for part in parts:
                yield b"," + orjson.dumps(part)[1:-1]
            yield b"]}"

    return StreamingResponse(body(), media_type="application/json")
