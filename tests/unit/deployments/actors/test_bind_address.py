"""Where replicas listen."""

from __future__ import annotations

import pytest
from ray.util import get_node_ip_address

from deployments.actors.bind_address import InvalidBindAddress, bind_address
from training.runtime.environment import Environment


def test_a_replica_listens_where_the_variable_says() -> None:
    assert bind_address(Environment.of({})) is get_node_ip_address
    assert bind_address(Environment.of({"RAYSONDE_DIRECT_CALLS": "node"})) is get_node_ip_address
    loopback = bind_address(Environment.of({"RAYSONDE_DIRECT_CALLS": "loopback"}))
    assert loopback is not None
    assert loopback() == "127.0.0.1"


@pytest.mark.parametrize("environment", [{"RAYSONDE_DIRECT_CALLS": "off"}, {"RAY_USE_TLS": "1"}])
def test_calls_go_through_serve_where_it_is_off_or_ray_encrypts(environment: dict[str, str]) -> None:
    assert bind_address(Environment.of(environment)) is None


def test_another_word_is_refused() -> None:
    with pytest.raises(
        InvalidBindAddress, match="RAYSONDE_DIRECT_CALLS: got 'on', expected one of: node, loopback, off"
    ):
        bind_address(Environment.of({"RAYSONDE_DIRECT_CALLS": "on"}))
