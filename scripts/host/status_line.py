"""The last line of a terminal, which changes in place."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.status import Status


class StatusLine:
    """A status line that is used as a context; nothing where output is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = Status("", console=console) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._status:
            self._status.stop()

    def update(self, text: RenderableType) -> bool:
        """Change the line; return whether there is one."""
        if self._status:
            self._status.update(text)
        return self._status is not None
