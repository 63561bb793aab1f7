"""Interruption of a measurement: it ends in good order, with nothing left running."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import typer
from rich.console import Console

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptible(console: Console) -> Iterator[None]:
    """Let the first signal to stop raise `KeyboardInterrupt`, and ignore others until the program ends.

    Raises:
        typer.Exit: it was cut off within the context.
    """
    for number in _STOPPING:
        signal.signal(number, _interrupt_once)
    try:
        yield
    except KeyboardInterrupt as error:
        console.print("Cut off; nothing is left running, and nothing was written.")
        raise typer.Exit(130) from error


def _interrupt_once(number: int, frame: FrameType | None) -> None:
    """`make` must not cut short an end in good order when it passes on what the terminal sent us."""
    for stopping in _STOPPING:
        signal.signal(stopping, signal.SIG_IGN)
    raise KeyboardInterrupt
