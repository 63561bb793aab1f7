"""Examples in docstrings do what they show."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

from training.runtime.settings import REPOSITORY

PACKAGES = ("features", "training", "deployments", "scripts")
MODULES = sorted(
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
    for package in PACKAGES
    for path in (REPOSITORY / package).rglob("*.py")
    if ">>> " in path.read_text()
)


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings_give_what_they_show(module: str) -> None:
    ran = doctest.testmod(import_module(module), optionflags=doctest.FAIL_FAST)
    assert ran.attempted > 0
    assert ran.failed == 0


def test_the_modules_with_examples_are_found() -> None:
    assert len(MODULES) >= 5
