"""Handles of Serve's without Serve: one replica, in this process."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any


class FakeHandle:
    """A handle of one replica; what passes is pickled, as Serve does. `gate` and `error`: of its answers."""

    def __init__(self, replica: Any) -> None:
        self.replica = replica
        self.methods: list[str] = []
        self.error: BaseException | None = None
        self.gate: asyncio.Event | None = None

    def options(
        self, *, method_name: str, stream: bool, request_serialization: str, response_serialization: str
    ) -> _Method:
        assert request_serialization == response_serialization == "pickle"
        return _Method(self, method_name, stream)

    def remote(self, *arguments: Any) -> Any:
        raise AssertionError("a replica is not called by itself")


class _Method(FakeHandle):
    def __init__(self, handle: FakeHandle, name: str, streams: bool) -> None:
        self.handle = handle
        self.name = name
        self.streams = streams

    def remote(self, *arguments: Any) -> Any:
        self.handle.methods.append(self.name)
        answer = getattr(self.handle.replica, self.name)(*_again(arguments))
        return self._pieces(answer) if self.streams else self._answer(answer)

    async def _answer(self, answer: Any) -> Any:
        found = await answer
        if self.handle.gate is not None:
            await self.handle.gate.wait()
        if self.handle.error is not None:
            raise self.handle.error
        return _again(found)

    async def _pieces(self, pieces: Any) -> Any:
        async for piece in pieces:
            yield _again(piece)


def _again(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))
