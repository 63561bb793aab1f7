"""All router replicas of an application, asked the same: requests go to any of them."""

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
    """The replicas of a deployment, of which this process may be one.

    Args:
        deployment: its name.
        application: the one it belongs to.
    """

    def __init__(self, deployment: str, application: str) -> None:
        self._deployment = deployment
        self._application = application
        self._handle: DeploymentHandle | None = None

    async def ask(self, method: str) -> list[Any]:
        """What a method without arguments returns on each of them.

        One that fails is left out; none is there when they cannot be asked, or do not all answer in time.
        """
        try:
            found = await gather_answers(await self._found(), method)
        except (RayError, RayServeException, KeyError, TimeoutError) as error:
            self._warn(error)
            return []
        for answer in found:
            if isinstance(answer, BaseException):
                self._warn(answer)
        return [answer for answer in found if not isinstance(answer, BaseException)]

    def _warn(self, error: BaseException) -> None:
        log.warning("replicas not asked: %r", error, extra={"workload": self._application})

    async def _found(self) -> DeploymentHandle:
        if self._handle is None:
            self._handle = await asyncio.to_thread(
                serve.get_deployment_handle, self._deployment, self._application
            )
        return self._handle
