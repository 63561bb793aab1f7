"""Many calls, one message: what is asked in the same turn of the event loop goes downstream together.

`JointCalls` is the caller's half, `as_they_come` the other one. Most of what a call costs its caller does not
depend on what is in it. Answers come back in pieces, so that an arm that is slow, or gone, holds up no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Generic, TypeVar

A = TypeVar("A")
T = TypeVar("T")


class Cancelled(RuntimeError):
    """The call was given up at the other end, not by who waits for it here."""


@dataclass
class _Joint(Generic[A, T]):
    """One call under way, or about to be."""

    size: int = 0
    asked: list[A] = field(default_factory=list)
    futures: list[asyncio.Future[T]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    def give_up(self) -> None:
        """End the call if nobody waits for it any more."""
        if self.task is not None and all(future.done() for future in self.futures):
            self.task.cancel()


class JointCalls(Generic[A, T]):
    """Joins calls; belongs to one event loop.

    A call belongs to all who asked in it. So it does not run in the context of one of their requests, with
    which Serve would cancel it for all when that one's client hangs up.

    Args:
        one: makes a call that asks one thing.
        many: makes one that asks several; answers come by their place, each once.
        size_of: of what is asked, in bytes.
        most_bytes: in a call of several. What is larger goes by itself.
    """

    def __init__(
        self,
        one: Callable[[A], Awaitable[T]],
        many: Callable[[Sequence[A]], AsyncIterable[Mapping[int, T]]],
        size_of: Callable[[A], int],
        most_bytes: int,
    ) -> None:
        self._one = one
        self._many = many
        self._size_of = size_of
        self._most_bytes = most_bytes
        self._due: list[_Joint[A, T]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, asked: A) -> T:
        """The answer.

        Raises:
            Cancelled: it was given up at the other end.
            Exception: what the call raised that this went with.
        """
        loop = asyncio.get_running_loop()
        if not self._due:
            loop.call_soon(self._send)
        joint = self._with_room(self._size_of(asked))
        future: asyncio.Future[T] = loop.create_future()
        joint.asked.append(asked)
        joint.futures.append(future)
        try:
            return await future
        except asyncio.CancelledError:
            joint.give_up()
            raise

    def _with_room(self, size: int) -> _Joint[A, T]:
        if not self._due or self._due[-1].size + size > self._most_bytes:
            self._due.append(_Joint())
        self._due[-1].size += size
        return self._due[-1]

    def _send(self) -> None:
        due, self._due = self._due, []
        for joint in due:
            task = asyncio.get_running_loop().create_task(self._run(joint), context=Context())
            joint.task = task
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, joint: _Joint[A, T]) -> None:
        try:
            if len(joint.asked) == 1:
                _settle(joint.futures[0], await self._one(joint.asked[0]))
            else:
                async for answers in self._many(joint.asked):
                    for place, answer in answers.items():
                        _settle(joint.futures[place], answer)
            _fail(joint.futures, RuntimeError("the call ended without an answer"))
        except asyncio.CancelledError:
            _fail(joint.futures, Cancelled("the call was cancelled"))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the callers' to handle
            _fail(joint.futures, error)


async def as_they_come(asked: Sequence[Awaitable[T]], grace_s: float) -> AsyncGenerator[dict[int, T]]:
    """Results by place: those of one piece together, the first piece as soon as there is one.

    Args:
        asked: run at the same time; what one raises ends all.
        grace_s: how long results wait for others of their piece.
    """
    tasks = {asyncio.ensure_future(one): place for place, one in enumerate(asked)}
    waiting = set(tasks)
    try:
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if waiting and grace_s > 0:
                more, waiting = await asyncio.wait(waiting, timeout=grace_s)
                done |= more
            yield {tasks[task]: task.result() for task in done}
    finally:
        for task in waiting:
            task.cancel()


def _settle(future: asyncio.Future[T], answer: T) -> None:
    if not future.done():
        future.set_result(answer)


def _fail(futures: Sequence[asyncio.Future[T]], error: Exception) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
