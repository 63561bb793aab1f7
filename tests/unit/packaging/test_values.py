"""What the pure packages hand around are values: nobody who has one can change it for the others."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import is_dataclass

from pydantic import BaseModel

from tests.mutants.plan import modules
from training.runtime.settings import REPOSITORY

# Each is its owner's alone, and counts or remembers for it; `Calibration` stands above those that are frozen.
CHANGING = {"Baseline", "LossDriftDetector", "StreamCounts", "Calibration"}


def classes() -> Iterator[type]:
    for path in modules(REPOSITORY):
        module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
        yield from (
            one
            for one in vars(module).values()
            if isinstance(one, type) and one.__module__ == module.__name__
        )


def test_dataclasses_and_models_cannot_be_changed() -> None:
    changing = set()
    for one in classes():
        if is_dataclass(one):
            changing |= set() if one.__dataclass_params__.frozen else {one.__name__}  # type: ignore[attr-defined]
        elif issubclass(one, BaseModel):
            changing |= set() if one.model_config.get("frozen") else {one.__name__}
    assert changing == CHANGING
