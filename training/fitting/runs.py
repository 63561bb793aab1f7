"""The run of a fit: where it resumes, where it saves its state, and which workers share its batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


class Peers(Protocol):
    """The workers that fit one model together, as one of them sees them."""

    @property
    def number(self) -> int:
        """Number of this worker, from 0."""
        ...

    @property
    def count(self) -> int:
        """Number of all workers."""
        ...

    def join(self, network: Any) -> Any:
        """Return a module that computes as `network`; its gradients are the mean of those of all workers."""
        ...

    def agree(self, value: float) -> float:
        """Return the first worker's value: all go on by the same number, or one would wait for the others."""
        ...


@dataclass(frozen=True)
class Alone:
    """A single worker, which shares nothing."""

    number: int = 0
    count: int = 1

    def join(self, network: Any) -> Any:
        """Return the network itself."""
        return network

    def agree(self, value: float) -> float:
        """Return the value as it is."""
        return value


@dataclass(frozen=True)
class Run:
    """Arguments that `training.families.base.ResumableFamily.fit` takes beside those of other families.

    Attributes:
        saved: the state of an earlier fit with the same arguments, which is gone on with.
        save: given the state after each epoch, just before it is reported.
        peers: who takes a share of every batch.
    """

    saved: bytes | None = None
    save: Callable[[bytes], None] | None = None
    peers: Peers = Alone()


ALONE = Run()
