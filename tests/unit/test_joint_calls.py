import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextvars import ContextVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.joint_calls import Cancelled, JointCalls, as_they_come

REQUEST: ContextVar[str] = ContextVar("REQUEST", default="none")


class Other:
    """The other end: gives the double of what is asked, when it is let to; keeps what it was asked."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.gates: dict[int, asyncio.Future[None]] = {}
        self.seen_in: set[str] = set()
        self.ended = 0

    async def one(self, asked: int) -> int:
        self.calls.append([asked])
        self.seen_in.add(REQUEST.get())
        return await self._answer(asked)

    async def many(self, asked: Sequence[int]) -> AsyncGenerator[Mapping[int, int]]:
        self.calls.append(list(asked))
        self.seen_in.add(REQUEST.get())
        async for answers in as_they_come([self._answer(one) for one in asked], 0):
            yield answers

    def let(self, *asked: int) -> None:
        for one in asked:
            self.gates[one].set_result(None)

    async def _answer(self, asked: int) -> int:
        gate = self.gates[asked] = asyncio.get_running_loop().create_future()
        try:
            await gate
        finally:
            self.ended += 1
        return 2 * asked


def joint(other: Other, most_bytes: int = 1000) -> JointCalls[int, int]:
    return JointCalls(other.one, other.many, size_of=lambda asked: asked, most_bytes=most_bytes)


def ask(calls: JointCalls[int, int], *asked: int) -> list[asyncio.Task[int]]:
    async def in_a_request(one: int) -> int:
        REQUEST.set(f"request {one}")
        return await calls(one)

    return [asyncio.create_task(in_a_request(one)) for one in asked]


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_is_asked_in_one_turn_of_the_loop_is_one_call() -> None:
    other = Other()
    calls = joint(other)
    tasks = ask(calls, 1, 2, 3)
    await settle()
    tasks += ask(calls, 4)
    await settle()
    assert other.calls == [[1, 2, 3], [4]]
    other.let(1, 2, 3, 4)
    assert await asyncio.gather(*tasks) == [2, 4, 6, 8]


async def test_a_slow_answer_holds_up_no_other() -> None:
    other = Other()
    slow, fast = ask(joint(other), 1, 2)
    await settle()
    other.let(2)
    assert await fast == 4
    assert not slow.done()
    other.let(1)
    assert await slow == 2


async def test_a_call_has_no_more_bytes_than_allowed_unless_one_alone_has() -> None:
    other = Other()
    tasks = ask(joint(other, most_bytes=10), 4, 6, 1, 11, 2)
    await settle()
    assert other.calls == [[4, 6], [1], [11], [2]]
    other.let(4, 6, 1, 11, 2)
    assert await asyncio.gather(*tasks) == [8, 12, 2, 22, 4]


async def test_a_call_runs_in_the_context_of_none_of_the_requests() -> None:
    other = Other()
    calls = joint(other)
    tasks = ask(calls, 1)
    await settle()
    tasks += ask(calls, 2, 3)
    await settle()
    other.let(1, 2, 3)
    await asyncio.gather(*tasks)
    assert other.seen_in == {"none"}


async def test_who_leaves_disturbs_nobody_and_the_last_one_ends_the_call() -> None:
    other = Other()
    first, second = ask(joint(other), 1, 2)
    await settle()
    first.cancel()
    await settle()
    assert other.ended == 0
    second.cancel()
    await settle()
    assert (first.cancelled(), second.cancelled(), other.ended) == (True, True, 2)


async def test_who_leaves_before_the_call_is_made_does_not_stop_it() -> None:
    other = Other()
    calls = joint(other)

    async def leave() -> None:
        task = asyncio.ensure_future(calls(1))
        await asyncio.sleep(0)
        task.cancel()

    staying = asyncio.create_task(calls(2))
    await leave()
    await settle()
    other.let(2)
    assert await staying == 4


@pytest.mark.parametrize("asked", [[1], [1, 2]])
@pytest.mark.parametrize(
    ("error", "expected"),
    [(ConnectionError("gone"), ConnectionError), (asyncio.CancelledError(), Cancelled)],
)
async def test_a_call_that_fails_fails_for_all_that_have_no_answer(
    asked: list[int], error: BaseException, expected: type[Exception]
) -> None:
    async def one(_: int) -> int:
        raise error

    async def many(asked: Sequence[int]) -> AsyncGenerator[Mapping[int, int]]:
        yield {0: 7}
        raise error

    found = await asyncio.gather(
        *ask(JointCalls(one, many, size_of=lambda _: 1, most_bytes=10), *asked), return_exceptions=True
    )
    assert type(found[-1]) is expected
    assert found[:-1] == [7] * (len(asked) - 1)


async def test_a_call_that_leaves_one_out_fails_for_that_one() -> None:
    async def one(_: int) -> int:
        return 0

    async def many(asked: Sequence[int]) -> AsyncGenerator[Mapping[int, int]]:
        yield {1: 7}

    left_out, answered = await asyncio.gather(
        *ask(JointCalls(one, many, size_of=lambda _: 1, most_bytes=10), 1, 2), return_exceptions=True
    )
    assert isinstance(left_out, RuntimeError)
    assert answered == 7


async def test_results_that_come_within_the_grace_are_one_piece() -> None:
    gates = [asyncio.get_running_loop().create_future() for _ in range(3)]
    pieces = as_they_come(gates, grace_s=60)
    first = asyncio.ensure_future(anext(pieces))
    gates[2].set_result("c")
    await settle()
    assert not first.done()
    gates[0].set_result("a")
    gates[1].set_result("b")
    assert await first == {0: "a", 1: "b", 2: "c"}
    assert [piece async for piece in pieces] == []


async def test_results_that_are_later_than_the_grace_are_another_piece() -> None:
    gates = [asyncio.get_running_loop().create_future() for _ in range(2)]
    pieces = as_they_come(gates, grace_s=0.001)
    gates[1].set_result("b")
    assert await anext(pieces) == {1: "b"}
    gates[0].set_result("a")
    assert await anext(pieces) == {0: "a"}


async def test_pieces_that_are_not_wanted_any_more_end_what_runs() -> None:
    ended = []

    async def hang(name: str) -> str:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(name)
        return name

    async def at_once() -> str:
        return "now"

    pieces = as_they_come([hang("a"), at_once(), hang("b")], grace_s=0)
    assert await anext(pieces) == {1: "now"}
    await pieces.aclose()
    await settle()
    assert sorted(ended) == ["a", "b"]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8), st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_everyone_gets_their_own_answer_once(turns: list[int], most_bytes: int) -> None:
    async def play() -> None:
        async def delayed(asked: int) -> int:
            for _ in range(turns[asked]):
                await asyncio.sleep(0)
            return 2 * asked

        async def many(asked: Sequence[int]) -> AsyncGenerator[Mapping[int, int]]:
            async for answers in as_they_come([delayed(one) for one in asked], 0):
                yield answers

        size_of: Callable[[int], int] = lambda _: 1  # noqa: E731
        calls = JointCalls(delayed, many, size_of, most_bytes)
        asked = range(len(turns))
        assert await asyncio.gather(*map(calls, asked)) == [2 * one for one in asked]

    asyncio.run(play())
