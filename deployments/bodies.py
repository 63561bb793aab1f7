"""Bodies of requests and answers as bytes: read up to a limit, written by orjson."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from deployments.errors import TooLarge

MAX_INSTANCE_BYTES = 1 << 20
MAX_BATCH_BYTES = 64 << 20


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """The whole body.

    Raises:
        TooLarge: it is longer than allowed; as soon as that is known.
    """
    declared = request.headers.get("content-length", "0")
    received = bytearray()
    if not declared.isdigit() or int(declared) <= limit_bytes:
        async for part in request.stream():
            received += part
            if len(received) > limit_bytes:
                break
        else:
            return bytes(received)
    raise TooLarge(f"body: got more than {limit_bytes:,} bytes, expected at most that")


def json_response(content: Any, status: int = 200) -> Response:
    """An answer with this JSON."""
    return Response(orjson.dumps(content), status, media_type="application/json")
