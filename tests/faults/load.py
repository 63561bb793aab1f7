"""Requests at a rate, each with its truth soon after, and the figures of what became of them."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from tests.support.system import RunningSystem, bodies

TRUTH_AFTER_S = 1.0
FEEDBACK_PERIOD_S = 0.5
MOST_TRUTHS = 200
# a caller tries a connection that was refused or ended again, as a client does that knows of proxies
RETRY_AFTER_S = 0.25
RETRIES = 8


@dataclass
class Load:
    """The result of a load.

    Attributes:
        statuses: of the answers; 0 where there was none.
        latencies_s: of those that were answered.
        answered_at_s: when, seconds since the begin, in order.
        retried: requests that were answered after a connection was refused or ended.
        refusals: the other answers, in words.
        truths: value by prediction id, of the calls that were accepted.
        failed_truth_calls: the others, which were sent again.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    answered_at_s: list[float] = field(default_factory=lambda: [0.0])
    retried: int = 0
    refusals: list[str] = field(default_factory=list)
    truths: dict[str, float] = field(default_factory=dict)
    failed_truth_calls: int = 0

    @property
    def answered(self) -> float:
        return self.statuses[200] / self.statuses.total()

    @property
    def p99_s(self) -> float:
        return float(np.quantile(self.latencies_s, 0.99))

    @property
    def longest_gap_s(self) -> float:
        """Between two answers that followed each other."""
        return float(np.diff(self.answered_at_s).max())


class LoadGenerator:
    """A load of one system: requests come at a rate, whether or not the ones before were answered.

    Args:
        system: serves the rockets.
        rate_per_s: requests.
        retries: of a request without an answer.
        with_truths: whether each answer gets one.
    """

    def __init__(
        self, system: RunningSystem, rate_per_s: float, *, retries: int = 0, with_truths: bool = False
    ) -> None:
        self._rate_per_s = rate_per_s
        self._retries = retries
        self._with_truths = with_truths
        self._contents = [json.dumps(body).encode() for flight in range(3, 23) for body in bodies(flight)]
        headers = {"Authorization": f"Bearer {system.key}"}
        self._client = httpx.AsyncClient(base_url=f"{system.url}/apogee", headers=headers, timeout=20)
        self._waiting: list[tuple[float, str, float]] = []
        self._begun_s = 0.0
        self.load = Load()

    async def run(self, duration_s: float) -> Load:
        """Send for so long, then wait for the answers and send the last truths."""
        self._begun_s = time.monotonic()
        async with self._client, asyncio.TaskGroup() as group:
            truths = group.create_task(self._send_truths(duration_s + TRUTH_AFTER_S))
            async with asyncio.TaskGroup() as requests:
                for number in range(int(duration_s * self._rate_per_s)):
                    await asyncio.sleep(max(0.0, number / self._rate_per_s - self._now_s))
                    requests.create_task(self._send(number))
            await truths
            await self._send_waiting(float("inf"))
        return self.load

    @property
    def _now_s(self) -> float:
        return time.monotonic() - self._begun_s

    async def _send(self, number: int) -> None:
        began_s, content = self._now_s, self._contents[number % len(self._contents)]
        for attempt in range(1 + self._retries):
            try:
                answer = await self._client.post("/predict", content=content)
            except httpx.TransportError:
                await asyncio.sleep(RETRY_AFTER_S)
                continue
            self.load.statuses[answer.status_code] += 1
            if answer.status_code == 200:
                self._note(answer.json(), began_s, attempt)
            else:
                self.load.refusals.append(f"{self._now_s:.1f} s: {answer.status_code} {answer.text[:300]}")
            return
        self.load.statuses[0] += 1

    def _note(self, answer: dict[str, Any], began_s: float, attempt: int) -> None:
        self.load.latencies_s.append(self._now_s - began_s)
        self.load.answered_at_s.append(self._now_s)
        self.load.retried += attempt > 0
        if self._with_truths:
            # close to what was predicted: nothing drifts
            value = float(answer["prediction"]["apogee_m"]) + 1.0
            self._waiting.append((self._now_s + TRUTH_AFTER_S, answer["id"], value))

    async def _send_truths(self, until_s: float) -> None:
        while self._with_truths and self._now_s < until_s:
            await asyncio.sleep(FEEDBACK_PERIOD_S)
            await self._send_waiting(self._now_s)

    async def _send_waiting(self, now_s: float) -> None:
        """Send the truths that are due, a call after the other; those of a call that fails are sent again."""
        while self._waiting and self._waiting[0][0] <= now_s:
            due = [one for one in self._waiting[:MOST_TRUTHS] if one[0] <= now_s]
            items = [{"id": key, "truth": {"apogee_m": value}} for _, key, value in due]
            try:
                answer = await self._client.post("/feedback", json={"items": items})
            except httpx.TransportError:
                self.load.failed_truth_calls += 1
                return
            if not answer.is_success:
                self.load.failed_truth_calls += 1
                self.load.refusals.append(f"{self._now_s:.1f} s: {answer.status_code} {answer.text[:300]}")
                return
            self.load.truths |= {key: value for _, key, value in due}
            del self._waiting[: len(due)]


async def run_load(system: RunningSystem, duration_s: float, rate_per_s: float = 50) -> Load:
    """Send requests once each, without truths."""
    return await LoadGenerator(system, rate_per_s).run(duration_s)


async def run_load_beside(
    generator: LoadGenerator, duration_s: float, act: Callable[[], None], after_s: float = 3.0
) -> Load:
    """Send, and do something in a thread of its own after a while."""

    async def later() -> None:
        await asyncio.sleep(after_s)
        await asyncio.to_thread(act)

    load, _ = await asyncio.gather(generator.run(duration_s), later())
    return load


def tell(what: str, load: Load, more: str = "") -> None:
    """Add a line of figures to `faults.txt`, in the folder of a run."""
    folder = Path(os.environ.get("RAYSONDE_VAR", "var"))
    folder.mkdir(parents=True, exist_ok=True)
    line = (
        f"{what}: answered {load.answered:.5f} of {load.statuses.total()} ({dict(load.statuses)}), "
        f"{load.retried} of them at another try, p99 {load.p99_s * 1000:.1f} ms, "
        f"longest gap {load.longest_gap_s:.2f} s{more}; {load.refusals[:5]}"
    )
    with (folder / "faults.txt").open("a") as file:
        file.write(f"{line}\n")
