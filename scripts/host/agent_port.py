"""The port of the agent through which Ray takes jobs."""

from __future__ import annotations

from typing import Any

from ray._private.parameter import RayParams


def let_ray_choose_agent_port() -> None:
    """Has the next `ray.init` that starts a Ray choose it.

    It is 52365 otherwise, whatever the other ports are, and `ray.init` has no argument for it: beside another
    Ray on the machine the agent would come up without its server, and no job could ever be submitted.
    """
    begin = RayParams.__init__

    def begin_with_any_port(self: RayParams, *arguments: Any, **named: Any) -> None:
        begin(self, *arguments, **named)
        self.dashboard_agent_listen_port = 0

    RayParams.__init__ = begin_with_any_port
