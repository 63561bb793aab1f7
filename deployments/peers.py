"""All router replicas of an application, asked what they wait for: requests go to any of them."""

from __future__ import annotations

import asyncio
import logging

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

log = logging.getLogger(__name__)

# less than those who ask for the health of the system wait for it
ANSWER_TIMEOUT_S = 1.5


class Peers:
    """The replicas of a deployment, of which this process may be one.

    Args:
        deployment: its name.
        application: the one it belongs to.
        method: what they are asked: names of arms, without arguments.
    """

    def __init__(self, deployment: str, application: str, method: str) -> None:
        self._deployment = deployment
        self._application = application
        self._method = method
        self._handle: DeploymentHandle | None = None

    async def arms(self) -> frozenset[str]:
        """What any of them names; none when they cannot be asked, since those that are well then serve."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answers = await (await self._found()).broadcast(self._method).results_async()
        except (RayError, RayServeException, KeyError, TimeoutError) as error:
            log.warning("replicas not asked: %r", error, extra={"workload": self._application})
            return frozenset()
        return frozenset(arm for arms in answers for arm in arms)

    async def _found(self) -> DeploymentHandle:
        if self._handle is None:
            self._handle = await asyncio.to_thread(
                serve.get_deployment_handle, self._deployment, self._application
            )
        return self._handle
