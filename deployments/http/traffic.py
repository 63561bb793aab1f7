"""The routes of the routing policy: read it, and change it on every replica."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Header, Request

from deployments.domain.errors import Unavailable
from deployments.domain.routing import RoutingPolicy, RoutingTable
from deployments.http import openapi as docs
from deployments.http.bodies import MAX_INSTANCE_BYTES, read_body
from deployments.inference.service import PredictionService
from deployments.requests.validation_errors import read_model


def add_traffic(app: FastAPI, service: PredictionService) -> None:
    """Add the routes of a workload."""

    @app.get("/traffic", summary="The routing policy", responses=docs.problem_answers(503))
    async def traffic() -> RoutingTable:
        if service.table is None:
            raise Unavailable("no routing table yet")
        return service.table

    @app.put(
        "/traffic",
        summary="Change the routing policy, on every replica within 2 s",
        openapi_extra=docs.json_body(
            RoutingPolicy.model_json_schema(), {"weights": dict.fromkeys(service.arms, 1.0)}
        ),
        responses=docs.problem_answers(400, 401, 409, 422, 503),
    )
    async def put_traffic(request: Request, if_match: Annotated[int | None, Header()] = None) -> RoutingTable:
        body = await read_body(request, MAX_INSTANCE_BYTES)
        return await service.put_policy(read_model(RoutingPolicy, body, "policy"), if_match)
