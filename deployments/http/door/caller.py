"""The sender of a request, as far as the request tells."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import Scope

from deployments.domain.instances import Caller
from features.errors import FieldError

PROBE_HEADER = "Raysonde-Probe"
# The key of the scope under which the guard of the key leaves whether the request has shown it.
HAS_KEY = "raysonde.has_key"
# as the store takes it
_MOST_CHARACTERS = 120
_MOST_FORWARDED = 60


def read_caller(scope: Scope) -> Caller:
    """Return the caller: by the address of the connection, and the one that a proxy before it has named.

    A proxy's word is not checked: it stands behind the address that is sure.

    Raises:
        FieldError: the header of probes is there, and is neither 1 nor 0.
    """
    headers = Headers(scope=scope)
    probe = headers.get(PROBE_HEADER, "0")
    if probe not in ("0", "1"):
        raise FieldError(PROBE_HEADER, probe, "1, or 0 as without the header")
    client = scope.get("client")
    address = client[0] if client else None
    if forwarded := ", ".join(headers.getlist("x-forwarded-for")):
        # each proxy adds its own at the end
        address = f"{address} for {forwarded[-_MOST_FORWARDED:]}"
    if address is not None:
        address = "".join(filter(str.isprintable, address[:_MOST_CHARACTERS]))
    return Caller(address, scope.get(HAS_KEY, False), probe == "1")
