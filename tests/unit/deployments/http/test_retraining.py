"""HTTP of retrainings, and the command that uses it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from rich.console import Console
from typer import Exit

from deployments.domain import retraining_transitions as states
from deployments.domain.retraining import ArmResult, Request, Retraining
from scripts.cli.retrain import follow as follow_retraining
from tests.support.serving import LocalSystem

NOW = datetime(2026, 3, 1, tzinfo=UTC)
BETTER = ArmResult(
    model_version="2", bundle="sha256:2", passed=True, reasons=("It is better.",), numbers={"gain": 1.0}
)
WORSE = BETTER.model_copy(update={"passed": False, "reasons": ("It is not shown to be better.",)})


@pytest.fixture
def system(tmp_path: Path, store_url: str) -> Iterator[LocalSystem]:
    with LocalSystem(tmp_path, store_url=store_url) as system:
        yield system


async def test_a_request_is_accepted_and_its_retraining_is_shown(
    client: httpx.AsyncClient, system: LocalSystem
) -> None:
    response = await client.post("/retrain", json={"note": "new sensor"})
    assert response.status_code == 202
    requested = Retraining.model_validate(response.json())
    assert (requested.state, requested.requests[0].reason, requested.requests[0].note) == (
        "waiting",
        "by hand",
        "new sensor",
    )
    assert response.headers["Location"] == f"/apogee/retrainings/{requested.id}"
    assert (await client.get(f"/retrainings/{requested.id}")).json() == response.json()
    assert (await client.post("/retrain")).json()["id"] == requested.id
    (listed,) = (await client.get("/retrainings")).json()
    assert len(listed["requests"]) == 2
    assert [act.kind for act in system.store.audit_events("apogee")][-2:] == ["retraining_asked"] * 2


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (b"{", 400, "not JSON"),
        (b'{"why": "x"}', 422, "why: got 'x'"),
        (b'{"note": 3}', 422, "note: got 3"),
        (b"[]", 422, "body: got"),
    ],
)
async def test_a_wrong_body_is_refused(
    client: httpx.AsyncClient, body: bytes, status: int, detail: str
) -> None:
    response = await client.post("/retrain", content=body)
    assert response.status_code == status
    assert detail in response.json()["detail"]
    assert (await client.get("/retrainings")).json() == []


async def test_a_retraining_of_another_workload_is_not_found(
    client: httpx.AsyncClient, system: LocalSystem
) -> None:
    other = system.store.retrainings.request("weather", Request(reason="drift", at=NOW, by="test"))
    for unknown in (other.id, "nobody"):
        assert (await client.get(f"/retrainings/{unknown}")).status_code == 404


class Progress:
    """A client whose retraining is one step further at each look."""

    def __init__(self, *steps: Retraining) -> None:
        self._steps = iter(steps)

    async def retraining(self, retraining_id: str) -> Retraining:
        return next(self._steps)


def waiting(why: str | None = None) -> Retraining:
    requested = states.add_request(None, "apogee", "01M", Request(reason="by hand", at=NOW, by="test"))
    return requested.model_copy(update={"waits_for": why})


async def follow(*steps: Retraining) -> list[str]:
    console = Console(record=True, width=200, quiet=False, file=None)
    with console.capture() as captured:
        try:
            await follow_retraining(console, Progress(*steps), waiting(), period_s=0)  # type: ignore[arg-type]
        except Exit as end:
            console.print(f"exit {end.exit_code}")
    return captured.get().splitlines()


async def test_the_command_prints_each_state_once_and_the_verdicts() -> None:
    running = states.confirm(states.start(waiting(), NOW))
    done = states.finish(running.model_copy(update={"arms": {"linear": BETTER, "mlp": WORSE}}), NOW)
    short = waiting("truths: there are 3, and 10 are needed")
    assert await follow(short, short, running, running, done) == [
        "waiting: for the lifecycle controller",
        "waiting: truths: there are 3, and 10 are needed",
        "running, attempt 1",
        "done",
        "linear 2: challenger. It is better.",
        "mlp 2: archived. It is not shown to be better.",
    ]


async def test_the_command_fails_with_the_retraining() -> None:
    failed = states.finish(states.confirm(states.start(waiting(), NOW)), NOW, "no pair to test")
    assert await follow(failed) == [
        "waiting: for the lifecycle controller",
        "failed: no pair to test",
        "exit 1",
    ]
