"""A system without models: the HTTP calls that the commands use, over plain functions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from features.contract import Contract
from features.errors import FieldError
from features.windows import cut_window

KEY = "the-key"


@dataclass
class FakeSystem:
    """Arm `exact` says twice the height at the end of a window, `high` 10 m more; bands are +-5 m.

    Attributes:
        broken_arm: an arm that answers 503.
        asked: what was sent, as (arm, instance).
        truths: by prediction id.
    """

    contract: Contract
    broken_arm: str | None = None
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    truths: dict[str, float] = field(default_factory=dict)

    def client(self, key: str | None = KEY) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app()), base_url="http://system", headers=headers
        )

    def app(self) -> Starlette:
        root = f"/{self.contract.workload}"
        return Starlette(
            routes=[
                Route(f"{root}/info", self._info),
                Route(f"{root}/predict", self._predict, methods=["POST"]),
                Route(f"{root}/feedback", self._feedback, methods=["POST"]),
            ]
        )

    async def _info(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return _problem(401, "send the key")
        return JSONResponse({"arms": {"exact": {}, "high": {}}})

    async def _predict(self, request: Request) -> Response:
        arm = request.headers["raysonde-arm"]
        instance = await request.json()
        self.asked.append((arm, instance))
        if arm == self.broken_arm:
            return _problem(503, "no answer now")
        names = self.contract.field_names
        rows = np.array([[sample.get(name, np.nan) for name in names] for sample in instance["samples"]])
        try:
            window = cut_window(self.contract, rows)
        except FieldError as error:
            return _problem(422, str(error))
        value = 2 * float(window.values[-1, 1]) + (10 if arm == "high" else 0)
        target = self.contract.target.name
        return JSONResponse(
            {
                "id": instance["id"],
                "prediction": {target: value},
                "interval": {target: [value - 5, value + 5]},
                "coverage": 0.9,
                "arm": arm,
                "model_version": "1",
                "bundle": "sha256:0",
                "schema_version": instance["schema_version"],
                "fallback": False,
            }
        )

    async def _feedback(self, request: Request) -> Response:
        items = (await request.json())["items"]
        self.truths.update({item["id"]: item["truth"][self.contract.target.name] for item in items})
        return JSONResponse({"accepted": len(items), "duplicate": 0, "unmatched": 0}, status_code=202)


def _problem(status: int, detail: str) -> Response:
    body = {"title": "no", "status": status, "detail": detail}
    return JSONResponse(body, status_code=status, media_type="application/problem+json")
