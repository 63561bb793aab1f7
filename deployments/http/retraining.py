"""Routes of retrainings: ask for one, and list them with their results."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from deployments.domain.ids import Note
from deployments.domain.retraining import Request as RetrainingRequest
from deployments.domain.retraining import Retraining
from deployments.http import openapi as docs
from deployments.http.bodies import MAX_FORM_BYTES, read_body
from deployments.http.lifecycle_rows import add_rows
from deployments.requests.validation_errors import read_model
from deployments.store import Store

_EXAMPLE = {"note": "the new sensor has been in use since Monday"}


class RetrainingBody(BaseModel):
    """The body of `POST /retrain`; it may be empty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    note: Note = Field(default="", description="the reason; it is stored with the model")


def add_retraining(app: FastAPI, store: Store, workload: str) -> None:
    """Add the retraining routes of one workload."""
    rows = store.retrainings

    @app.post(
        "/retrain",
        status_code=202,
        summary="Retrain on the journalled truths; a retraining in progress takes the request up",
        openapi_extra=docs.json_body(RetrainingBody.model_json_schema(), _EXAMPLE, required=False),
        responses=docs.problem_answers(400, 401, 422, 503),
    )
    async def retrain(request: Request, response: Response) -> Retraining:
        body = read_model(RetrainingBody, await read_body(request, MAX_FORM_BYTES) or b"{}")
        by_hand = RetrainingRequest(reason="by hand", at=datetime.now(UTC), by="api", note=body.note)
        retraining = await asyncio.to_thread(rows.request, workload, by_hand)
        response.headers["Location"] = f"/{workload}/retrainings/{retraining.id}"
        return retraining

    add_rows(app, workload, "retraining", Retraining, rows)
