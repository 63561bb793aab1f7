"""The stage of a start, as the system itself reports it: Ray, Serve, then each deployment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Stage:
    """A moment of a start.

    Attributes:
        text: what is under way, for people.
        ready: whether every workload answers.
        failure: why it will never be ready, if that is known.
    """

    text: str
    ready: bool = False
    failure: str | None = None


class StageProbe:
    """Asks a starting system where it stands; never raises on account of what is not there yet.

    Args:
        api_url: of Serve's HTTP, without a slash at the end.
        api_key: sent with every request.
        dashboard_url: of Ray's dashboard.
        dashboard_token: Ray's own token.
        workloads: those that must answer.
        client: for HTTP; closed by the caller.
    """

    def __init__(
        self,
        api_url: str,
        api_key: str,
        dashboard_url: str,
        dashboard_token: str,
        workloads: Sequence[str],
        client: httpx.Client,
    ) -> None:
        self._api_url = api_url
        self._api_headers = {"Authorization": f"Bearer {api_key}"}
        self._dashboard_url = dashboard_url
        self._dashboard_headers = {"Authorization": f"Bearer {dashboard_token}"}
        self._workloads = tuple(workloads)
        self._client = client
        self._last = Stage("Ray is starting")

    def poll(self) -> Stage:
        """Return the present stage of the start."""
        if self._is_ready():
            return Stage("ready", ready=True)
        try:
            response = self._client.get(
                f"{self._dashboard_url}/api/serve/applications/",
                headers=self._dashboard_headers,
                timeout=_TIMEOUT_S,
            )
            response.raise_for_status()
            self._last = readiness_stage(response.json())
        except (httpx.HTTPError, ValueError):
            pass  # not there yet, or busy with the start itself: the last answer stands
        return self._last

    def _is_ready(self) -> bool:
        """Return whether predictions are answered, and every router replica has all its arms.

        A system of the user's own may have no root application, and then nothing at the first path.
        """
        return self._status("/-/ready") in (httpx.codes.OK, httpx.codes.NOT_FOUND) and all(
            self._status(f"/{workload}/healthz") == httpx.codes.OK for workload in self._workloads
        )

    def _status(self, path: str) -> int | None:
        try:
            url = f"{self._api_url}{path}"
            return self._client.get(url, headers=self._api_headers, timeout=_TIMEOUT_S).status_code
        except httpx.HTTPError:
            return None


def readiness_stage(serve_details: dict[str, Any]) -> Stage:
    """Return the stage in an answer of Ray's `GET /api/serve/applications/`."""
    applications = serve_details.get("applications") or {}
    if not applications:
        return Stage("Serve is starting")
    waiting = []
    for name, application in applications.items():
        if application.get("status") == "DEPLOY_FAILED":
            # the message is a traceback, whose last line says what is wrong
            lines = application.get("message", "").strip().splitlines() or ["no reason given"]
            return Stage(f"{name} failed", failure=f"{name}: {lines[-1]}")
        deployments = application.get("deployments") or {}
        if not deployments and application.get("status") != "RUNNING":
            waiting.append(f"{name} is being built")
        for deployment_name, deployment in deployments.items():
            running = sum(r.get("state") == "RUNNING" for r in deployment.get("replicas", []))
            wanted = deployment.get("target_num_replicas", 1)
            if running < wanted:
                waiting.append(f"{name}: {deployment_name} {running}/{wanted}")
    return Stage(
        "waiting for " + ", ".join(waiting) if waiting else "all replicas run, waiting for their answers"
    )
