"""Targets, which a workload predicts: a number, one of several classes, or a path over the ground.

A target says how truth is written, in records and over HTTP, and as the array that is learnt from. The same
three forms of task are known everywhere: here, in `training.runtime.tasks` and in the API's documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Tag

from features.targets.base import BaseTarget, TaskName
from features.targets.classes import ClassTarget
from features.targets.number import TargetSpec
from features.targets.path import ALTITUDE, LATITUDE, LONGITUDE, PathTarget

__all__ = [
    "ALTITUDE",
    "LATITUDE",
    "LONGITUDE",
    "AnyTarget",
    "ClassTarget",
    "PathTarget",
    "Target",
    "TargetSpec",
    "TaskName",
]


def _kind_of(target: Any) -> str:
    """Return which form of target this is, by the member that only it has."""
    if isinstance(target, BaseTarget):
        return target.task  # type: ignore[attr-defined, no-any-return]
    members = target if isinstance(target, Mapping) else {}
    return "classification" if "classes" in members else "path" if "horizons_s" in members else "regression"


AnyTarget = TargetSpec | ClassTarget | PathTarget

Target = Annotated[
    Annotated[TargetSpec, Tag("regression")]
    | Annotated[ClassTarget, Tag("classification")]
    | Annotated[PathTarget, Tag("path")],
    Discriminator(_kind_of),
]
