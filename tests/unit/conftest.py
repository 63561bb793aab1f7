"""Fixtures of the unit tests."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What commands print is not broken where a line of the terminal ends, or its path is long."""
    monkeypatch.setenv("COLUMNS", "200")
