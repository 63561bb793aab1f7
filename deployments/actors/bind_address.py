"""The address of its node on which a replica takes calls, by RAYSONDE_DIRECT_CALLS. Imports Ray."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ray.util import get_node_ip_address

from training.runtime.environment import Environment

VARIABLE = "RAYSONDE_DIRECT_CALLS"


class InvalidBindAddress(ValueError):
    """The variable has none of its three values."""


def bind_address(environment: Environment) -> Callable[[], str] | None:
    """Return the function that finds the address; None where replicas are to call through Serve alone.

    Args:
        environment: has `node`, the default: the address by which Ray knows the node; `loopback`, for a
            cluster on one machine; or `off`. It is off where Ray has TLS: connections of replicas have none.

    Raises:
        InvalidBindAddress: it has another value.
    """
    chosen = environment.direct_calls or "node"
    finders: Mapping[str, Callable[[], str] | None] = {
        "node": get_node_ip_address,
        "loopback": _loopback,
        "off": None,
    }
    if chosen not in finders:
        raise InvalidBindAddress(f"{VARIABLE}: got {chosen!r}, expected one of: {', '.join(finders)}")
    return None if environment.ray_use_tls == "1" else finders[chosen]


def _loopback() -> str:
    return "127.0.0.1"
