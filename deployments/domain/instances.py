"""Instances as they are sent, and as models take them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class Caller(NamedTuple):
    """The sender of a request.

    Attributes:
        address: that the request came from, and the one for which it says to come; None if there is none.
        has_key: whether it has shown the key.
        is_probe: whether it only wants to know that there is an answer.
    """

    address: str | None = None
    has_key: bool = False
    is_probe: bool = False


UNKNOWN_CALLER = Caller()


class ParsedInstance(NamedTuple):
    """An instance as it was sent: its members are checked, its window is not yet cut.

    Attributes:
        id: the sender's as text, or a new ULID.
        number: the id, where the sender wrote it as a number.
        entity: value of the contract's entity field.
        id_was_sent: whether the id is the sender's.
        payload: the instance as it was sent, as JSON.
        values: of a table row, in contract order, None where nothing was sent.
        samples: (n, fields), NaN where nothing was sent; None of a table row.
    """

    id: str
    number: int | None
    entity: str
    id_was_sent: bool
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
        id_was_sent: whether the id is the sender's.
        caller: who sent it.
    """

    id: str
    entity: str
    raw: FloatArray
    payload: bytes
    filled: dict[str, int]
    number: int | None = None
    id_was_sent: bool = False
    caller: Caller = UNKNOWN_CALLER

    @property
    def sent_id(self) -> str | int:
        """The id in the form in which the sender wrote it."""
        return self.id if self.number is None else self.number


def is_same_instance(payload: str | bytes, other: str | bytes) -> bool:
    """Return whether two instances under one id are one that was sent twice.

    They are if all members are equal, however they are written. Samples that completed one of them are at
    its beginning, so that the samples of the shorter one have to be the last of the longer one.
    """
    if payload == other:
        return True
    members, others = _compared(payload), _compared(other)
    samples, other_samples = members.pop("samples", ()), others.pop("samples", ())
    length = min(len(samples), len(other_samples))
    if bool(samples) != bool(other_samples) or members != others:
        return False
    return not length or list(samples[-length:]) == list(other_samples[-length:])


def _compared(payload: str | bytes) -> dict[str, Any]:
    """Return the members that make an instance; null is as good as none."""
    members = _without_none(orjson.loads(payload))
    if members.get("samples"):
        members["samples"] = [_without_none(sample) for sample in members["samples"]]
    return {name: value for name, value in members.items() if name not in ("id", "schema_version")}


def _without_none(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
