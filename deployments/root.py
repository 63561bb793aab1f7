"""The root application: health of the whole system, a page of its parts, lifecycle controller and monitor."""
# No `from __future__ import annotations` here: Serve reads the builder's annotation at run time.

import asyncio
from importlib.metadata import PackageNotFoundError, version

from fastapi import Response
from fastapi.responses import HTMLResponse, PlainTextResponse
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel, ConfigDict, Field
from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle
from starlette.types import ASGIApp

from deployments.actors.broadcast import ReplicaBroadcast
from deployments.actors.lifecycle_controller import LifecycleController
from deployments.actors.monitor import Monitor
from deployments.http import problems
from deployments.http.auth import KeyGuard, behind_proxy, read_or_create_key
from deployments.http.door.browser_headers import BrowserHeaders
from deployments.http.door.readiness import ANY_READY_PATH, READY_PATH, Readiness, SystemReadiness
from deployments.http.door.request_body import BodyGuard
from deployments.http.openapi import complete_openapi
from deployments.http.root_page import render
from deployments.store import Store
from deployments.telemetry.metrics.collector import MetricsCollector
from deployments.telemetry.metrics.exposition import MEDIA_TYPE
from deployments.telemetry.metrics.samples import ReplicaSamples
from training.runtime.environment import Environment
from training.runtime.settings import Settings


class RootArguments(BaseModel):
    """`args` of the root application in `serve_config.yaml`."""

    model_config = ConfigDict(extra="forbid")

    workloads: list[str] = Field(
        description="names of the workload applications beside it, for lifecycle controller and monitor"
    )
    open_on_loopback: bool = Field(default=True, description="as for a workload")


class SystemHealth(BaseModel):
    """The health of the system."""

    status: str = Field(description="ready or starting")
    workloads: dict[str, str] = Field(
        description="by workload: ready, not running, or the arms that it waits for"
    )


@serve.ingress()
class Root:
    """The deployment of the root application, with one replica; it reads from the routers and the store."""

    def __init__(
        self,
        workloads: list[str],
        api_key: str,
        open_on_loopback: bool,
        store_url: str,
        lifecycle_controller: DeploymentHandle,
        monitor: DeploymentHandle,
    ) -> None:
        del lifecycle_controller, monitor  # bound here so that they are part of the application
        self._workloads = workloads
        self._api_key = api_key
        self._open_on_loopback = open_on_loopback
        self._routers = {name: ReplicaBroadcast("Router", name) for name in workloads}
        self._readiness = SystemReadiness(self._routers)
        self._collector = MetricsCollector(
            workloads, self._replicas, Store(store_url).snapshots.read, _version()
        )

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Build the ASGI application; Serve calls this after the constructor."""
        app = FastAPIOffline(
            redoc_url=None,
            title="raysonde",
            description="The system as a whole; each workload has pages of its own.",
        )
        problems.install(app)

        @app.get(
            "/healthz",
            summary="Whether every workload answers",
            responses={503: {"model": SystemHealth, "description": "some workload does not answer yet"}},
        )
        async def healthz(response: Response) -> SystemHealth:
            health = await self._health()
            response.status_code = 200 if health.status == "ready" else 503
            return health

        @app.get(
            "/metrics",
            summary="All metrics, of every router replica, as Prometheus' text",
            response_class=PlainTextResponse,
        )
        async def metrics() -> Response:
            return Response(await self._collector.exposition(), media_type=MEDIA_TYPE)

        complete_openapi(app)

        @app.get("/", include_in_schema=False)
        async def page() -> HTMLResponse:
            return HTMLResponse(render((await self._health()).workloads))

        guarded = BodyGuard(KeyGuard(app, self._api_key, open_on_loopback=self._open_on_loopback))
        answers = {READY_PATH: self._readiness.of_all, ANY_READY_PATH: self._readiness.of_any}
        return BrowserHeaders(Readiness(guarded, answers))

    async def _replicas(self, workload: str) -> list[ReplicaSamples]:
        return await self._routers[workload].call("metrics_here")

    async def _health(self) -> SystemHealth:
        states = await asyncio.gather(*(_application_state(self._routers[name]) for name in self._workloads))
        ready = all(state == "ready" for state in states)
        return SystemHealth(
            status="ready" if ready else "starting", workloads=dict(zip(self._workloads, states, strict=True))
        )


def build(arguments: RootArguments) -> Application:
    """Build the root application."""
    settings = Settings.from_environment()
    key = read_or_create_key(settings.api_key_file, Environment.read())
    is_open = arguments.open_on_loopback and not behind_proxy(Environment.read())
    lifecycle_controller = (
        serve.deployment(LifecycleController)
        .options(name="LifecycleController")
        .bind(settings, arguments.workloads)
    )
    monitor = serve.deployment(Monitor).options(name="Monitor").bind(settings, arguments.workloads)
    root = serve.deployment(Root).options(name="Root")
    return root.bind(arguments.workloads, key, is_open, settings.store_url, lifecycle_controller, monitor)


def _version() -> str:
    try:
        return version("raysonde")
    except PackageNotFoundError:
        return "unknown"  # run from a folder that was not installed


async def _application_state(routers: ReplicaBroadcast) -> str:
    """Return the state by what the replicas say: Serve's own is of the last deploy, which may have failed."""
    waiting = await routers.call("waiting_here")
    if not waiting:
        return "not running"
    arms = dict.fromkeys(arm for arms in waiting for arm in arms)
    return f"waits for {', '.join(arms)}" if arms else "ready"
