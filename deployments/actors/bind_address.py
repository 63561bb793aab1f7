"""On which address of its node a replica takes calls; RAYSONDE_DIRECT_CALLS says so. Imports Ray."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ray.util import get_node_ip_address

from training.runtime.environment import Environment

VARIABLE = "RAYSONDE_DIRECT_CALLS"


class BadHost(ValueError):
    """The variable names none of the three ways."""


def bind_address(environment: Environment) -> Callable[[], str] | None:
    """How a replica finds the address; None where replicas are to call through Serve alone.

    Args:
        environment: says `node`, the default: the address that Ray knows the node by; `loopback`, for a
            cluster on one machine; or `off`. It is off where Ray has TLS: connections of replicas have none.

    Raises:
        BadHost: it says something else.
    """
    chosen = environment.direct_calls or "node"
    ways: Mapping[str, Callable[[], str] | None] = {
        "node": get_node_ip_address,
        "loopback": _loopback,
        "off": None,
    }
    if chosen not in ways:
        raise BadHost(f"{VARIABLE}: got {chosen!r}, expected one of: {', '.join(ways)}")
    return None if environment.ray_use_tls == "1" else ways[chosen]


def _loopback() -> str:
    return "127.0.0.1"
