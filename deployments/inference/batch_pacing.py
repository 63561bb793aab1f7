"""How a batch shares the event loop and the arms with other requests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BatchPacing:
    """Sizes of the steps of a batch.

    Attributes:
        part_rows: instances that are predicted together.
        turn_rows: predictions handed out in a row, after which other requests have their turn: a millisecond
            or two.
        turn_s: seconds of the event loop for reading instances, after which other requests have their turn.
    """

    part_rows: int = 1000
    turn_rows: int = 250
    turn_s: float = 0.002
