"""Instances as they are sent, and as models take them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class ParsedInstance(NamedTuple):
    """An instance as it was sent: its members are checked, its window is not yet cut.

    Attributes:
        id: the sender's as text, or a new ULID.
        number: the id, where the sender wrote it as a number.
        entity: value of the contract's entity field.
        payload: the instance as it was sent, as JSON.
        values: of a table row, in contract order, None where nothing was sent.
        samples: (n, fields), NaN where nothing was sent; None of a table row.
    """

    id: str
    number: int | None
    entity: str
    payload: bytes
    values: tuple[float | str | None, ...] = ()
    samples: FloatArray | None = None


class Instance(NamedTuple):
    """A checked instance.

    Attributes:
        id: the sender's as text, or a new ULID; the journal's key.
        entity: value of the contract's entity field.
        raw: contract.raw_shape, fills done.
        payload: the instance as it was sent, as JSON, with the samples that completed it.
        filled: values filled by rule, by field; only fields with any.
        number: the id, where the sender wrote it as a number.
    """

    id: str
    entity: str
    raw: FloatArray
    payload: bytes
    filled: dict[str, int]
    number: int | None = None

    @property
    def sent_id(self) -> str | int:
        """The id in the form in which the sender wrote it."""
        return self.id if self.number is None else self.number
