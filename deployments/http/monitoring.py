"""HTTP of the monitoring. It is read from the store: no call crosses to the Monitor's process."""

from __future__ import annotations

import asyncio
import logging
from email.utils import format_datetime
from functools import cache
from typing import Annotated, Literal

from fastapi import FastAPI, Query, Response
from fastapi.responses import HTMLResponse

from deployments.domain.drift_state import page_in_old_spelling
from deployments.domain.errors import Unavailable
from deployments.http import openapi as docs
from deployments.http.bodies import json_response
from deployments.http.door.browser_headers import REPORT_CSP
from deployments.monitoring.view import MonitorPage
from deployments.store.monitor_feed import MonitorFeed

_RETRY_AFTER_S = 5.0
_log = logging.getLogger(__name__)

Spelling = Annotated[
    Literal["new", "old"],
    Query(
        description="Spelling of the states of `drift`. `new`: drifting, ok, insufficient_data. `old`: hot, "
        "cool, warming, as up to 0.1, for clients that do not know the new ones yet; it goes with 0.3"
    ),
]


def add_monitoring(app: FastAPI, feed: MonitorFeed, workload: str) -> None:
    """Add the monitoring routes of a workload."""
    _add_page(app, feed, workload)
    _add_report(app, feed, workload)


def _add_page(app: FastAPI, feed: MonitorFeed, workload: str) -> None:
    @cache
    def warn_of_old_spelling() -> None:
        _log.warning(
            "a client reads GET /%s/monitor?spelling=old, which goes with 0.3; expect the states drifting, "
            "ok and insufficient_data in place of hot, cool and warming",
            workload,
        )

    @app.get(
        "/monitor",
        summary="Rolling metrics by arm, coverage, lag, drift",
        response_model=MonitorPage,
        responses=docs.problem_answers(401, 422, 503),
    )
    async def monitor(spelling: Spelling = "new") -> MonitorPage | Response:
        stored = await asyncio.to_thread(feed.page, workload)
        if stored is None:
            raise Unavailable("the Monitor has written no page yet", retry_after_s=_RETRY_AFTER_S)
        page = MonitorPage.model_validate(stored.page)
        if spelling == "new":
            return page
        warn_of_old_spelling()
        return json_response(page_in_old_spelling(page.model_dump(mode="json", by_alias=True)))


def _add_report(app: FastAPI, feed: MonitorFeed, workload: str) -> None:
    @app.get(
        "/drift/report",
        summary="Evidently's report of the last minutes against the reference of the bundle",
        response_class=HTMLResponse,
        responses=docs.problem_answers(401, 503),
    )
    async def report() -> HTMLResponse:
        found = await asyncio.to_thread(feed.report, workload)
        if found is None:
            raise Unavailable(
                "there is no report yet; one is made when enough instances have been predicted",
                retry_after_s=_RETRY_AFTER_S,
            )
        at, html = found
        headers = {"Last-Modified": format_datetime(at, usegmt=True), "Content-Security-Policy": REPORT_CSP}
        return HTMLResponse(html, headers=headers)
