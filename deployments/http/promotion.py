"""Routes of promotions: list them, promote a version, go back to the one before, abort."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TypeVar

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field

from deployments.domain.errors import NotFound, Unavailable
from deployments.domain.ids import Name, Note
from deployments.domain.promotion import Promotion
from deployments.http import openapi as docs
from deployments.http.bodies import MAX_FORM_BYTES, read_body
from deployments.http.lifecycle_rows import add_rows
from deployments.requests.validation_errors import read_model
from deployments.store import Store

_ACTOR = "api"
_Body = TypeVar("_Body", bound=BaseModel)


class RollbackBody(BaseModel):
    """The body of `POST /arms/{arm}/rollback` and `POST /promotions/{id}/abort`; it may be empty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    note: Note = Field(default="", description="the reason; it is stored")


class PromotionBody(RollbackBody):
    """The body of `POST /arms/{arm}/promote`."""

    model_version: Name = Field(description="version of the registered model")


def add_promotions(app: FastAPI, store: Store, workload: str, arms: Collection[str]) -> None:
    """Add the promotion routes of one workload with these arms."""
    rows = store.promotions
    add_rows(app, workload, "promotion", Promotion, rows)

    @app.post(
        "/arms/{arm}/promote",
        status_code=202,
        summary="Have an arm serve this version, within seconds and without further proof",
        openapi_extra=docs.json_body(PromotionBody.model_json_schema(), {"model_version": "7"}),
        responses=docs.problem_answers(400, 401, 404, 409, 422, 503),
    )
    async def promote(arm: str, request: Request) -> Promotion:
        body = await _read_optional(request, PromotionBody)
        _check(workload, arms, arm)
        return await asyncio.to_thread(rows.promote, workload, arm, body.model_version, _ACTOR, body.note)

    @app.post(
        "/arms/{arm}/rollback",
        status_code=202,
        summary="Have an arm serve the version before again, which is still loaded",
        openapi_extra=docs.json_body(
            RollbackBody.model_json_schema(), {"note": "it answers too high"}, required=False
        ),
        responses=docs.problem_answers(400, 401, 404, 409, 422, 503),
    )
    async def rollback(arm: str, request: Request) -> Promotion:
        body = await _read_optional(request, RollbackBody)
        _check(workload, arms, arm)
        table = await asyncio.to_thread(store.routing, workload)
        if table is None:
            raise Unavailable("no routing table yet")
        return await asyncio.to_thread(rows.roll_back, workload, arm, table, _ACTOR, body.note)

    @app.post(
        "/promotions/{promotion_id}/abort",
        status_code=202,
        summary="End a promotion where it is; the arm goes on with what it serves",
        openapi_extra=docs.json_body(
            RollbackBody.model_json_schema(), {"note": "the new one is not needed"}, required=False
        ),
        responses=docs.problem_answers(400, 401, 404, 409, 422, 503),
    )
    async def abort(promotion_id: str, request: Request) -> Promotion:
        body = await _read_optional(request, RollbackBody)
        return await asyncio.to_thread(rows.abort, workload, promotion_id, _ACTOR, body.note)


def _check(workload: str, arms: Collection[str], arm: str) -> None:
    if arm not in arms:
        raise NotFound(f"no arm {arm!r} of {workload}: they are {sorted(arms)}")


async def _read_optional(request: Request, kind: type[_Body]) -> _Body:
    return read_model(kind, await read_body(request, MAX_FORM_BYTES) or b"{}")
