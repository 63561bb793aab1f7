"""HTTP of what the Monitor sees. It is read off the store: no call crosses to the Monitor's process."""

from __future__ import annotations

import asyncio
from email.utils import format_datetime

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from deployments.domain.errors import Unavailable
from deployments.http import openapi as docs
from deployments.monitoring.view import MonitorPage
from deployments.store.monitor_feed import MonitorFeed

_RETRY_AFTER_S = 5.0


def add_monitoring(app: FastAPI, watched: MonitorFeed, workload: str) -> None:
    """Add the routes of a workload."""

    @app.get(
        "/monitor",
        summary="Rolling metrics by arm, coverage, lag, drift",
        responses=docs.problem_answers(401, 503),
    )
    async def monitor() -> MonitorPage:
        seen = await asyncio.to_thread(watched.page, workload)
        if seen is None:
            raise Unavailable("the Monitor has not looked yet", retry_after_s=_RETRY_AFTER_S)
        return MonitorPage.model_validate(seen.page)

    @app.get(
        "/drift/report",
        summary="Evidently's report of the last minutes against the reference of the bundle",
        response_class=HTMLResponse,
        responses=docs.problem_answers(401, 503),
    )
    async def report() -> HTMLResponse:
        found = await asyncio.to_thread(watched.report, workload)
        if found is None:
            raise Unavailable(
                "there is no report yet; one is made when enough instances have come",
                retry_after_s=_RETRY_AFTER_S,
            )
        at, html = found
        return HTMLResponse(html, headers={"Last-Modified": format_datetime(at, usegmt=True)})
