"""The routes of the routing policy: read it, and change it on every replica."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Header, Request

from deployments.domain.errors import Unavailable
from deployments.domain.routing import RoutingPolicy, RoutingTable
from deployments.http import openapi as docs
from deployments.http.bodies import MAX_FORM_BYTES, read_body
from deployments.inference.routing_follower import RoutingFollower
from deployments.requests.validation_errors import read_model

# of the column of the store
_MOST_REVISIONS = 2**31 - 1


def add_traffic(app: FastAPI, follower: RoutingFollower) -> None:
    """Add the traffic routes of one workload."""

    @app.get("/traffic", summary="The routing policy", responses=docs.problem_answers(503))
    async def traffic() -> RoutingTable:
        if follower.table is None:
            raise Unavailable("no routing table yet")
        return follower.table

    @app.put(
        "/traffic",
        summary="Change the routing policy, on every replica within 2 s",
        openapi_extra=docs.json_body(
            RoutingPolicy.model_json_schema(), {"weights": dict.fromkeys(follower.arms, 1.0)}
        ),
        responses=docs.problem_answers(400, 401, 409, 422, 503),
    )
    async def put_traffic(
        request: Request, if_match: Annotated[int | None, Header(ge=0, le=_MOST_REVISIONS)] = None
    ) -> RoutingTable:
        body = await read_body(request, MAX_FORM_BYTES)
        return await follower.put_policy(read_model(RoutingPolicy, body, "policy"), if_match)
