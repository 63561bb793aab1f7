"""Fixtures of the unit tests."""

from __future__ import annotations

import pytest

from tests.support.manifests import OVERLAYS, Objects, overlay


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What commands print is not broken where a line of the terminal ends, or its path is long."""
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(params=OVERLAYS)
def objects(request: pytest.FixtureRequest) -> Objects:
    """What `kubectl kustomize` makes of each overlay of kuberay/."""
    return overlay(request.param)
