"""A target that is a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from features.targets.base import BaseTarget, FloatArray, TaskName, free_name, object_schema


class TargetSpec(BaseTarget):
    """A number, and the error that models of it are compared by. Its array is (n,) in its unit."""

    unit: str = Field(description="unit of the number")
    minimum: float = Field(alias="min", description="smallest truth that is accepted")
    maximum: float = Field(alias="max", description="largest truth that is accepted")
    metric: Literal["mae", "rmse", "rmsle"] = Field(default="mae", description="error that compares models")

    @model_validator(mode="after")
    def _has_logarithm(self) -> Self:
        if self.metric == "rmsle" and self.minimum < 0:
            raise ValueError(f"min: got {self.minimum:g}, expected 0 or more for the metric rmsle")
        return self

    @property
    def task(self) -> TaskName:
        """Return what kind of prediction this is."""
        return "regression"

    @property
    def range_text(self) -> str:
        """Return what is allowed in words, for errors and documentation."""
        return f"a finite number of {self.unit} in [{self.minimum:g}, {self.maximum:g}]"

    def columns(self, taken: Sequence[str]) -> tuple[str, ...]:
        """Return the columns of the truth in tables of records; `taken` are the names of the fields there."""
        return (free_name(self.name, taken),)

    def of_columns(self, columns: Sequence[NDArray[Any]]) -> FloatArray:
        """Return the array of truths from its columns of records, NaN where not known."""
        return np.asarray(columns[0], dtype=np.float64)

    def truth_type(self) -> Any:
        """Pydantic type of the truth that is sent back under the target's name."""
        rules = Field(strict=True, allow_inf_nan=False, ge=self.minimum, le=self.maximum)
        return Annotated[float, rules, Field(description=f"in {self.unit}")]

    def to_json(self, truth: FloatArray) -> Any:
        """Return a truth of the array as it is sent; None where it is not known."""
        return float(truth) if np.isfinite(truth) else None

    def of_json(self, truth: Any) -> FloatArray:
        """Inverse of `to_json`."""
        return np.array(np.nan if truth is None else truth, dtype=np.float64)

    @property
    def example_truth(self) -> Any:
        """Return a truth for documentation."""
        return self.minimum

    def truth_like(self, prediction: Mapping[str, Any]) -> Any:
        """Return the truth that such a prediction would be exactly right about, as it is sent."""
        return prediction[self.name]

    @property
    def region(self) -> str:
        """Name of the member of an answer that says how sure it is; empty where the prediction says it."""
        return "interval"

    def answer_schema(self) -> dict[str, dict[str, Any]]:
        """JSON Schema of the members of an answer that are of this kind of target."""
        number = {"type": "number", "description": f"in {self.unit}"}
        ends = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
        return {
            "prediction": object_schema({self.name: number}),
            "interval": object_schema({self.name: ends}),
        }
