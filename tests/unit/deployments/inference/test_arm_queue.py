"""The queue of single instances: who shares a call, and who waits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deployments.domain.routing import ArmVersion
from deployments.inference.arm_queue import ArmQueue
from training.runtime.tasks.base import ArmAnswer


def version(number: int) -> ArmVersion:
    return ArmVersion(model_version=str(number), bundle=f"sha256:{number}", source="")


class Arms:
    """Answers the number in the instance once `gate` is set."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, int]] = []
        self.gate = asyncio.Event()

    async def __call__(self, arm: str, version: ArmVersion, raw: NDArray[np.float64]) -> Sequence[ArmAnswer]:
        self.calls.append((arm, version.model_version, len(raw)))
        await self.gate.wait()
        return [ArmAnswer({"area_m2": float(one[0])}, {}, 0.9) for one in raw]


def asking(queue: ArmQueue, arm: str, number: int, *values: float) -> list[asyncio.Task[ArmAnswer]]:
    async def ask(value: float) -> ArmAnswer:
        return await queue.ask(arm, version(number), np.array([value]), 60.0)

    return [asyncio.create_task(ask(value)) for value in values]


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_instances_of_one_version_go_together_and_others_apart() -> None:
    arms = Arms()
    arms.gate.set()
    queue = ArmQueue(arms)
    tasks = [*asking(queue, "mlp", 1, 1, 2, 3), *asking(queue, "mlp", 2, 4), *asking(queue, "linear", 1, 5)]
    answers = await asyncio.gather(*tasks)
    assert [answer.prediction["area_m2"] for answer in answers] == [1, 2, 3, 4, 5]
    assert arms.calls == [("mlp", "1", 3), ("mlp", "2", 1), ("linear", "1", 1)]


async def test_rows_that_wait_are_counted_by_arm_over_its_versions() -> None:
    arms = Arms()
    queue = ArmQueue(arms)
    tasks = []
    for number in (1, 2):
        for value in range(2):  # two calls of a version may be under way at once
            tasks += asking(queue, "mlp", number, value)
            await turns()
    assert not queue.is_busy("mlp")
    tasks += [*asking(queue, "mlp", 1, 7, 8), *asking(queue, "mlp", 2, 9), *asking(queue, "linear", 1, 1)]
    await turns()
    assert (queue.waiting_rows()["mlp"], queue.waiting_rows()["linear"]) == (3, 0)
    assert (queue.is_busy("mlp"), queue.is_busy("linear"), queue.is_busy("nobody")) == (True, False, False)
    arms.gate.set()
    await asyncio.gather(*tasks)
    assert queue.waiting_rows().total() == 0
