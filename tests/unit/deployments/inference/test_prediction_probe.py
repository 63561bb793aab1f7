"""Readiness by a prediction."""

from __future__ import annotations

import asyncio

import pytest

from deployments.inference.prediction_probe import PredictionProbe, ProbeTimes


class Arms:
    """Arms of which some answer, some fail and some hang."""

    def __init__(self, *arms: str, hang: tuple[str, ...] = (), fail: tuple[str, ...] = ()) -> None:
        self.arms, self.hang, self.fail = arms, hang, fail
        self.asked: list[str] = []
        self.answered = 0
        self.now_s = 0.0
        self.probe = PredictionProbe(
            lambda: self.arms, self.ask, lambda: self.answered, ProbeTimes(0.05, 1.0), lambda: self.now_s
        )

    async def ask(self, arm: str) -> bool:
        self.asked.append(arm)
        if arm in self.hang:
            await asyncio.sleep(3600)
        return arm not in self.fail


@pytest.mark.parametrize(
    ("arms", "ready", "asked"),
    [
        (Arms(), False, []),
        (Arms("a", "b"), True, ["a"]),
        (Arms("a", "b", "c", hang=("a",), fail=("b",)), True, ["a", "b", "c"]),
        (Arms("a", "b", hang=("a",), fail=("b",)), False, ["a", "b"]),
        (Arms("a", "b", hang=("a", "b")), False, ["a", "b"]),
    ],
)
async def test_it_is_ready_when_an_arm_answers(arms: Arms, ready: bool, asked: list[str]) -> None:
    assert await arms.probe() is ready
    assert arms.asked == asked


async def test_requests_that_are_answered_are_proof_enough() -> None:
    arms = Arms("a", fail=("a",))
    arms.answered = 7
    assert await arms.probe()
    assert arms.asked == []
    arms.now_s = 1.0
    assert not await arms.probe()
    assert arms.asked == ["a"]


async def test_all_who_ask_within_a_second_share_one_look() -> None:
    arms = Arms("a", hang=("a",))
    assert await asyncio.gather(*(arms.probe() for _ in range(20))) == [False] * 20
    arms.now_s = 0.9
    assert not await arms.probe()
    assert arms.asked == ["a"]
    arms.hang = ()
    arms.now_s = 1.0
    assert await arms.probe()


async def test_who_asks_and_leaves_does_not_take_the_look_along() -> None:
    arms = Arms("a", hang=("a",))
    asking = asyncio.create_task(arms.probe())
    await asyncio.sleep(0.01)
    asking.cancel()
    assert not await arms.probe()
    assert arms.asked == ["a"]
