"""Keys and values as they were spelled before 0.2: they still work, and the log says what to write now.

They go with the release after the one that brought the new spelling.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

log = logging.getLogger(__name__)


def respell_keys(place: str, values: Any, new_by_old: Mapping[str, str]) -> Any:
    """Return a section with today's keys; what is no mapping is returned as it is.

    Args:
        place: where the keys were read, for the log.
        values: the section.
        new_by_old: today's spelling of each old key.

    Raises:
        ValueError: a key is there in both spellings.
    """
    if not isinstance(values, Mapping):
        return values
    respelled: dict[Any, Any] = {}
    for key, value in values.items():
        new = new_by_old.get(key, key)
        if new in respelled or (new != key and new in values):
            raise ValueError(f"{place}: got both spellings of a key, expected {new!r} alone")
        if new != key:
            log.warning("%s: %r is the old spelling; write %r", place, key, new)
        respelled[new] = value
    return respelled


def respell(place: str, value: str, new_by_old: Mapping[str, str]) -> str:
    """Return today's spelling of a value; one that has no other is returned as it is."""
    new = new_by_old.get(value, value)
    if new != value:
        log.warning("%s: %r is the old spelling; write %r", place, value, new)
    return new
