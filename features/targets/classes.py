"""A target that is one of several classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from features.errors import FieldError
from features.targets.base import BaseTarget, FloatArray, TaskName, free_name, object_schema


class ClassTarget(BaseTarget):
    """A target that is one of several classes. Its array is (n,), the index of the class.

    Attributes:
        classes: their names.
        positive: the one that precision, recall and F1 are about.
    """

    classes: tuple[str, ...] = Field(min_length=2, description="names of the classes")
    positive: str = Field(description="class that precision, recall and F1 are about")
    metric: Literal["f1"] = Field(default="f1", description="score that models are compared by")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"classes: got {list(self.classes)}, expected all different")
        if self.positive not in self.classes:
            raise ValueError(f"positive: got {self.positive!r}, expected {self.range_text}")
        return self

    @property
    def task(self) -> TaskName:
        """Return what kind of prediction this is."""
        return "classification"

    @property
    def higher_is_better(self) -> bool:
        """An F1 of 1 is without error."""
        return True

    @property
    def unit(self) -> str:
        """A class has none."""
        return "class"

    @property
    def range_text(self) -> str:
        """Return what is allowed in words, for errors and documentation."""
        return "one of " + ", ".join(map(repr, self.classes))

    def columns(self, taken: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the columns; see `TargetSpec.columns`."""
        return (free_name(self.name, taken),)

    def of_columns(self, columns: Sequence[NDArray[Any]]) -> FloatArray:
        """Return truths from columns; see `TargetSpec.of_columns`; the column holds names, or None.

        Raises:
            FieldError: another name.
        """
        index = {name: float(number) for number, name in enumerate(self.classes)}
        found = np.array([index.get(name, np.nan) for name in columns[0]])
        for name in columns[0][np.isnan(found)]:
            if name is not None and name == name:  # NaN, which is how tables write None, differs from itself
                raise FieldError(self.name, name, self.range_text)
        return found

    def truth_type(self) -> Any:
        """Return the type of a truth in JSON; see `TargetSpec.truth_type`."""
        return Literal[self.classes]

    def to_json(self, truth: FloatArray) -> Any:
        """Return a truth as JSON; see `TargetSpec.to_json`."""
        return self.classes[int(truth)] if np.isfinite(truth) else None

    def of_json(self, truth: Any) -> FloatArray:
        """Return a truth from JSON; see `TargetSpec.of_json`."""
        return np.array(np.nan if truth is None else self.classes.index(truth), dtype=np.float64)

    @property
    def example_truth(self) -> Any:
        """Return a truth for documentation."""
        return self.classes[0]

    def truth_like(self, prediction: Mapping[str, Any]) -> Any:
        """Return a truth like a prediction; see `TargetSpec.truth_like`."""
        return prediction[self.name]

    @property
    def region(self) -> str:
        """Return the name of the region; see `TargetSpec.region`."""
        return "prediction_set"

    def answer_schema(self) -> dict[str, dict[str, Any]]:
        """Return the schema of an answer; see `TargetSpec.answer_schema`."""
        one = {"type": "string", "enum": list(self.classes)}
        share = {"type": "number", "minimum": 0, "maximum": 1}
        all_of_them = object_schema(dict.fromkeys(self.classes, share))
        several = {"type": "array", "items": one, "minItems": 1, "description": "one of these it is"}
        return {
            "prediction": object_schema({self.name: one, "probability": share, "probabilities": all_of_them}),
            "prediction_set": object_schema({self.name: several}),
        }
