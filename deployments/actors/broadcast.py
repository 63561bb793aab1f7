"""Calls of all router replicas of an application at once."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from deployments.rpc.serve_handles import gather_answers

log = logging.getLogger(__name__)


class ReplicaBroadcast:
    """A caller of all replicas of a deployment, of which this process may be one.

    Args:
        deployment: its name.
        application: its application's name.
    """

    def __init__(self, deployment: str, application: str) -> None:
        self._deployment = deployment
        self._application = application
        self._handle: DeploymentHandle | None = None

    async def call(self, method: str) -> list[Any]:
        """Call a method without arguments on each replica, and return the results.

        A replica that fails is left out. The list is empty when they are not reachable, or too late.
        """
        try:
            found = await gather_answers(await self._get_handle(), method)
        except (RayError, RayServeException, KeyError, TimeoutError) as error:
            self._warn(error)
            return []
        for answer in found:
            if isinstance(answer, BaseException):
                self._warn(answer)
        return [answer for answer in found if not isinstance(answer, BaseException)]

    def _warn(self, error: BaseException) -> None:
        log.warning("a replica does not answer: %r", error, extra={"workload": self._application})

    async def _get_handle(self) -> DeploymentHandle:
        if self._handle is None:
            self._handle = await asyncio.to_thread(
                serve.get_deployment_handle, self._deployment, self._application
            )
        return self._handle
