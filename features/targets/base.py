"""Parts that the kinds of targets share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

FloatArray = NDArray[np.float64]
TaskName = Literal["regression", "classification", "path"]


class BaseTarget(BaseModel):
    """A target has a name."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    name: str = Field(description="name of the prediction and of the truth")

    @property
    def higher_is_better(self) -> bool:
        """Return whether a higher value of the metric is better."""
        return False


def object_schema(members: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema of an object that has all of these members."""
    return {"type": "object", "properties": members, "required": list(members)}


def free_name(name: str, taken: Sequence[str]) -> str:
    """Return the name, or a free one where a field has it."""
    return f"target_{name}" if name in taken else name
