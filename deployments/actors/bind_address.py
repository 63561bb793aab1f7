"""The address of its node on which a replica takes calls, by RAYSONDE_DIRECT_CALLS. Imports Ray."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ray.util import get_node_ip_address

from training.runtime.environment import Environment

VARIABLE = "RAYSONDE_DIRECT_CALLS"


class InvalidBindAddress(ValueError):
    """The variable has none of its three values."""


<<<<<<< f2da0f95687f5851889465d2559b996dd086d054
def bind_address(environment: Environment) -> Callable[[], str] | None:
    """How a replica finds the address; None where replicas are to call through Serve alone.
=======
def bind_address(environment: Mapping[str, str]) -> Callable[[], str] | None:
    """Return the function that finds the address; None where replicas are to call through Serve alone.
>>>>>>> ff97d02120b70103307469ae0b1e574f88545f3b

    Args:
        environment: has `node`, the default: the address by which Ray knows the node; `loopback`, for a
            cluster on one machine; or `off`. It is off where Ray has TLS: connections of replicas have none.

    Raises:
        InvalidBindAddress: it has another value.
    """
<<<<<<< f2da0f95687f5851889465d2559b996dd086d054
    chosen = environment.direct_calls or "node"
    ways: Mapping[str, Callable[[], str] | None] = {
=======
    chosen = environment.get(VARIABLE) or "node"
    finders: Mapping[str, Callable[[], str] | None] = {
>>>>>>> ff97d02120b70103307469ae0b1e574f88545f3b
        "node": get_node_ip_address,
        "loopback": _loopback,
        "off": None,
    }
<<<<<<< f2da0f95687f5851889465d2559b996dd086d054
    if chosen not in ways:
        raise BadHost(f"{VARIABLE}: got {chosen!r}, expected one of: {', '.join(ways)}")
    return None if environment.ray_use_tls == "1" else ways[chosen]
=======
    if chosen not in finders:
        raise InvalidBindAddress(f"{VARIABLE}: got {chosen!r}, expected one of: {', '.join(finders)}")
    return None if environment.get("RAY_USE_TLS", "0") == "1" else finders[chosen]
>>>>>>> ff97d02120b70103307469ae0b1e574f88545f3b


def _loopback() -> str:
    return "127.0.0.1"
