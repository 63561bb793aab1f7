"""Finding the processes of a running system that a test kills."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil


@dataclass(frozen=True)
class Replicas:
    """What Ray's dashboard tells of replicas.

    Attributes:
        url: of the dashboard.
        token_file: of its token.
    """

    url: str
    token_file: Path

    def pids(self, application: str, deployment: str) -> list[int]:
        """Processes of the replicas that take requests; one that has just died may still be among them."""
        headers = {"Authorization": f"Bearer {self.token_file.read_text().strip()}"}
        answer = httpx.get(f"{self.url}/api/serve/applications/", headers=headers, timeout=30)
        found = answer.json()["applications"][application]["deployments"][deployment]["replicas"]
        return [int(one["pid"]) for one in found if one["state"] == "RUNNING"]


def driver_of(job: str) -> psutil.Process | None:
    """The process of a retraining's job; None before it has started, and after its end."""
    found = [
        process
        for process in psutil.process_iter(["cmdline"])
        if process.info["cmdline"] and job in process.info["cmdline"]
    ]
    assert len(found) <= 1, f"several processes of {job}: {found}"
    return found[0] if found else None
