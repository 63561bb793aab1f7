"""The contract of a workload: its fields, their units and ranges, and how a missing one is filled.

Everything that describes an input is derived from it: the request model, the OpenAPI text, the JSON
Schema, the order of the columns of the matrix that a model sees.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from features.targets import Target, TaskName
from features.window_spec import WindowSpec

RATE_CHANNEL = "observed_rate_hz"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Fill(_Frozen):
    """The rule by which a field that was not sent gets its values. Exactly one is set.

    ``constant``: this value. ``derivative_of``: the time derivative of another field of the window, from
    a least-squares quadratic over the window. ``same_as``: a copy of another field.
    """

    constant: float | None = Field(default=None, description="fill with this value")
    derivative_of: str | None = Field(
        default=None,
        description="fill with the time derivative of this field, by a quadratic fit over the window",
    )
    same_as: str | None = Field(default=None, description="fill with a copy of this field")

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        rules = [name for name, value in self if value is not None]
        if len(rules) != 1:
            raise ValueError(f"a fill has exactly one rule, this one has {rules or 'none'}")
        return self

    @property
    def reads(self) -> str | None:
        """The field that the rule reads, if any."""
        return self.derivative_of or self.same_as


class FieldSpec(_Frozen):
    """A field of the telemetry. A field with a `fill` is optional, one without is required.

    A field of the kind `category` holds one of its `categories`, sent by name; the raw matrix holds the index
    of it. Unit, minimum and maximum of such a field follow from its categories.
    """

    name: str = Field(description="name of the field in an instance or a sample")
    kind: Literal["number", "category"] = Field(default="number", description="what the field holds")
    categories: tuple[str, ...] = Field(
        default=(), description="names that a category may have; at least two, all different"
    )
    unit: str = Field(description="unit of a number, `1` where it has none; not for a category")
    minimum: float = Field(alias="min", description="smallest number that is accepted")
    maximum: float = Field(alias="max", description="largest number that is accepted")
    description: str = Field(default="", description="text for the documentation of the API")
    fill: Fill | None = Field(
        default=None, description="rule for a field that was not sent; without one the field is required"
    )
    period: float | None = Field(
        default=None, gt=0, description="of an angle: values that differ by it are the same"
    )

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _indices(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("kind") == "category":
            last = len(given.get("categories") or ()) - 1
            return {"unit": "category", "min": 0, "max": last} | given
        return given

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.kind == "number":
            if self.categories:
                raise ValueError(
                    f"{self.name}.categories: got {list(self.categories)}, expected none of a number"
                )
            return self
        if len(set(self.categories)) != len(self.categories) or len(self.categories) < 2:
            got = list(self.categories)
            raise ValueError(f"{self.name}.categories: got {got}, expected at least two, all different")
        if (self.minimum, self.maximum) != (0, len(self.categories) - 1) or self.fill:
            raise ValueError(f"{self.name}: a category has no min, max or fill")
        return self

    @model_validator(mode="after")
    def _whole_period(self) -> Self:
        if self.period is not None and self.maximum - self.minimum != self.period:
            expected = f"max - min, {self.maximum - self.minimum:g}"
            raise ValueError(f"{self.name}.period: got {self.period:g}, expected {expected}")
        return self

    @property
    def required(self) -> bool:
        """Return whether a sender must give the field."""
        return self.fill is None

    @property
    def range_text(self) -> str:
        """Return what is allowed in words, for errors and documentation."""
        if self.categories:
            return "one of " + ", ".join(map(repr, self.categories))
        return f"a finite number of {self.unit} in [{self.minimum:g}, {self.maximum:g}]"


class Contract(_Frozen):
    """The whole contract of one workload. The order of `fields` is the order of the matrix columns."""

    workload: str = Field(
        pattern=r"^[a-z][a-z0-9_]*$", description="name of the workload; the file is named after it"
    )
    schema_version: str = Field(description="version of the contract; an instance may name it")
    description: str = Field(default="", description="one sentence for the documentation of the API")
    module: str = Field(description="dotted path of the Python module that holds the workload's features")
    task: TaskName = Field(default="regression", description="form of the prediction; it follows the target")
    entity: str = Field(
        description="the field that names the entity, for example flight_id; several are joined by a slash"
    )
    window: WindowSpec | None = Field(
        default=None, description="window of samples that an instance brings; null: an instance is one row"
    )
    fields: tuple[FieldSpec, ...] = Field(
        description="fields of an instance or of each sample, in the order of the matrix columns"
    )
    target: Target = Field(description="what is predicted")
    example: dict[str, Any] = Field(
        default_factory=dict, description="an instance, shown in the API's documentation"
    )

    @field_validator("entity", mode="before")
    @classmethod
    def _joined(cls, entity: Any) -> Any:
        return "/".join(entity) if isinstance(entity, list | tuple) else entity

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.task != self.target.task:
            raise ValueError(f"task: got {self.task!r}, expected {self.target.task!r}, as the target is")
        names = [f.name for f in self.fields]
        repeated = sorted({n for n in names if names.count(n) > 1})
        if repeated:
            raise ValueError(f"fields named twice: {repeated}")
        if self.window and self.window.time not in names:
            raise ValueError(f"window.time: got {self.window.time!r}, expected one of {names}")
        categories = [f.name for f in self.fields if f.categories]
        if self.window and categories:
            # a value between two categories has no meaning, and a window needs such values
            raise ValueError(f"fields: got the categories {categories} in a window, expected numbers only")
        for position, spec in enumerate(self.fields):
            if spec.fill and spec.fill.reads and spec.fill.reads not in names[:position]:
                raise ValueError(f"{spec.name}.fill reads {spec.fill.reads!r}, which must stand before it")
        return self

    @cached_property
    def field_names(self) -> tuple[str, ...]:
        """Names in matrix order."""
        return tuple(f.name for f in self.fields)

    @property
    def entity_names(self) -> tuple[str, ...]:
        """The members of an instance that name its entity; ``("id",)`` where each is its own."""
        return tuple(self.entity.split("/"))

    @cached_property
    def target_columns(self) -> tuple[str, ...]:
        """Return the columns of the truth in tables of records."""
        return self.target.columns(self.field_names)

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """Columns of the raw matrix: the fields, and for a window the rate at which it was observed."""
        return (*self.field_names, RATE_CHANNEL) if self.window else self.field_names

    @cached_property
    def raw_shape(self) -> tuple[int, ...]:
        """Shape of one instance: (steps, channels) for a window, (fields,) for a table row."""
        return (self.window.steps, len(self.channels)) if self.window else (len(self.channels),)
