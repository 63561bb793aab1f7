"""The states of a drift detector, and their spellings of before 0.2. Pure.

Rows of the store and labels of metrics keep the old spellings: `hot`, `cool` and `warming`. All else has
those of `DriftState`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

# A detector has one of these two, and its events are the changes between them.
SettledState = Literal["ok", "drifting"]
# It shows the third while there are too few records to tell, and nothing has drifted before.
DriftState = Literal["ok", "drifting", "insufficient_data"]

SETTLED_STATES: tuple[SettledState, ...] = ("drifting", "ok")

# Today's spelling of each old one, for `features.old_spellings`.
NEW_BY_OLD: Mapping[str, DriftState] = MappingProxyType(
    {"hot": "drifting", "cool": "ok", "warming": "insufficient_data"}
)
_OLD_BY_NEW: Mapping[str, str] = MappingProxyType({new: old for old, new in NEW_BY_OLD.items()})


def old_spelling(state: str) -> str:
    """Return a state as the store and the metrics spell it; any other text is returned as it is.

    >>> old_spelling("drifting"), old_spelling("hot")
    ('hot', 'hot')
    """
    return _OLD_BY_NEW.get(state, state)


def new_spelling(state: str) -> str:
    """Return today's spelling of a state that was read; any other text is returned as it is.

    >>> new_spelling("cool"), new_spelling("ok")
    ('ok', 'ok')
    """
    return NEW_BY_OLD.get(state, state)


def page_in_old_spelling(page: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON of a Monitor's page with the states of its detectors as the store spells them."""
    return _respell_page(page, _OLD_BY_NEW)


def page_in_new_spelling(page: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON of a Monitor's page with today's states, whichever version has written it."""
    return _respell_page(page, NEW_BY_OLD)


def _respell_page(page: Mapping[str, Any], spelling: Mapping[str, str]) -> dict[str, Any]:
    if "drift" not in page:
        return dict(page)
    detectors = [one | {"state": spelling.get(one["state"], one["state"])} for one in page["drift"]]
    return {**page, "drift": detectors}
