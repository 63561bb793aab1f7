"""Handles of Serve's without Serve: replicas in this process."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Sequence
from typing import Any


class FakeHandle:
    """A handle of one replica; what passes is pickled, as Serve does. `gate` and `error`: of its answers.

    Args:
        replica: that answers what is not broadcast.
        broadcast_answers: what a broadcast is answered with; changed while a test runs.
    """

    def __init__(self, replica: Any, broadcast_answers: Sequence[Any] = ()) -> None:
        self.replica = replica
        self.broadcast_answers = broadcast_answers
        self.methods: list[str] = []
        self.error: BaseException | None = None
        self.gate: asyncio.Event | None = None

    def options(
        self, *, method_name: str, request_serialization: str, response_serialization: str
    ) -> _Method:
        assert request_serialization == response_serialization == "pickle"
        return _Method(self, method_name)

    def remote(self, *arguments: Any) -> Any:
        raise AssertionError("a replica is not called by itself")

    def broadcast(self, method_name: str) -> FakeHandle:
        self.methods.append(f"broadcast {method_name}")
        return self

    async def results_async(self, *, return_exceptions: bool) -> list[Any]:
        assert return_exceptions
        return list(self.broadcast_answers)


class _Method(FakeHandle):
    def __init__(self, handle: FakeHandle, name: str) -> None:
        self.handle = handle
        self.name = name

    def remote(self, *arguments: Any) -> Any:
        self.handle.methods.append(self.name)
        return self._answer(getattr(self.handle.replica, self.name)(*_again(arguments)))

    async def _answer(self, answer: Any) -> Any:
        found = await answer
        if self.handle.gate is not None:
            await self.handle.gate.wait()
        if self.handle.error is not None:
            raise self.handle.error
        return _again(found)


def _again(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))
