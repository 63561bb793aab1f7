"""The header by which a probe tells that it is one."""

from __future__ import annotations

from starlette.datastructures import Headers

from features.errors import FieldError

PROBE_HEADER = "Raysonde-Probe"


def read_probe(headers: Headers) -> bool:
    """Return whether a request is a probe: one that only wants to know whether there is an answer.

    Raises:
        FieldError: the header is there, and is neither 1 nor 0.
    """
    value = headers.get(PROBE_HEADER, "0")
    if value not in ("0", "1"):
        raise FieldError(PROBE_HEADER, value, "1, or 0 as without the header")
    return value == "1"
