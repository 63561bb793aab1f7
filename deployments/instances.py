"""From the bytes of a request to checked instances: the contract's request model, and its matrix.

The model is made from the contract, so that what is checked is what `GET /schema` says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import attrgetter
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from ulid import ULID

from deployments.errors import TooLarge
from deployments.ids import Name, id_type
from deployments.invalid import translate
from deployments.samples import completed, with_samples
from features.contract import Contract, FieldSpec
from features.errors import FieldError
from features.windows import cut_window

MAX_INSTANCES = 10_000

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Sent:
    """One instance as it was sent: its members are checked, its window is not cut.

    Attributes:
        parsed: the contract's request model.
        payload: the same as JSON.
        id: the sender's as text, or a new ULID.
        entity: value of the contract's entity field.
        samples: (n, fields), NaN where nothing was sent; None of a table row.
    """

    parsed: Any
    payload: bytes
    id: str
    entity: str
    samples: FloatArray | None


@dataclass(frozen=True)
class Instance:
    """One checked instance.

    Attributes:
        id: the sender's as text, or a new ULID; the journal's key.
        entity: value of the contract's entity field.
        raw: contract.raw_shape, fills done.
        payload: what was sent, as JSON, with the samples that completed it.
        filled: values filled by rule, by field; only fields with any.
        number: the id, where the sender wrote it as a number.
    """

    id: str
    entity: str
    raw: FloatArray
    payload: bytes
    filled: dict[str, int] = field(default_factory=dict)
    number: int | None = None

    @property
    def sent_id(self) -> str | int:
        """The id as an answer repeats it."""
        return self.id if self.number is None else self.number


class InstanceParser:
    """Parses the instances of one contract.

    Args:
        contract: of the workload.
        new_id: makes the id of an instance that has none.
    """

    def __init__(self, contract: Contract, new_id: Callable[[], str] = lambda: str(ULID())) -> None:
        self.model = instance_model(contract)
        self.batch_model = batch_model(self.model)
        self._contract = contract
        self._new_id = new_id
        self._entity_members = [_entity_attribute(i) for i in range(len(contract.entity_names))]
        self._values = attrgetter(*(_attribute(i) for i in range(len(contract.fields))))

    def parse_instance(self, body: bytes) -> Instance:
        """The instance in the body of a request.

        Raises:
            MalformedJson: no JSON.
            FieldError, InvalidFields: a field is missing, unknown, of the wrong kind or out of range, or the
                samples make no window.
            SchemaVersionError: the sender has another version of the contract.
        """
        return self.finish(self.read(body))

    def read(self, body: bytes) -> Sent:
        """The instance in the body of a request, for `finish`.

        Raises:
            InvalidInput: as `parse_instance`, but for a window that cannot be cut.
        """
        try:
            parsed = self.model.model_validate_json(body)
        except ValidationError as error:
            raise translate(self._contract, error) from None
        return self._sent(parsed, body)

    def parse_batch(self, body: bytes) -> list[Instance]:
        """The instances of `{"instances": [...]}` in their order; one that is wrong refuses them all.

        Raises:
            TooLarge: more than MAX_INSTANCES.
            MalformedJson, FieldError, InvalidFields, SchemaVersionError: as for one instance; the fields are
                called instances[i].field.
        """
        try:
            parsed: list[BaseModel] = self.batch_model.model_validate_json(body).instances  # type: ignore[attr-defined]
        except ValidationError as error:
            if sent := _too_many(error):
                raise TooLarge(f"instances: got {sent}, expected at most {MAX_INSTANCES}") from None
            raise translate(self._contract, error, batch=True) from None
        instances = []
        ids = set()
        for index, one in enumerate(parsed):
            try:
                payload = one.model_dump_json(by_alias=True, exclude_unset=True).encode()
                instance = self.finish(self._sent(one, payload))
            except FieldError as error:
                raise FieldError(f"instances[{index}].{error.field}", error.value, error.expected) from None
            if instance.id in ids:
                raise FieldError(
                    f"instances[{index}].id", instance.id, "an id that no other instance here has"
                )
            ids.add(instance.id)
            instances.append(instance)
        return instances

    def finish(self, sent: Sent, earlier: FloatArray | None = None) -> Instance:
        """Cut the window.

        Args:
            sent: as `read` gave it.
            earlier: (m, fields), samples of the same entity from before, which stand in where those that
                were sent are too few. The payload holds them then, so that the answer can be found again.

        Raises:
            FieldError: too few, or too far apart.
        """
        payload = sent.payload
        if sent.samples is None:
            raw, filled = _filled_row(self._contract, self._values(sent.parsed))
        else:
            samples = completed(self._contract, earlier, sent.samples)
            window = cut_window(self._contract, samples)
            if len(samples) > len(sent.samples):
                payload = with_samples(self._contract, samples[: -len(sent.samples)], payload)
            raw, filled = window.values, window.filled
        number = sent.parsed.id if isinstance(sent.parsed.id, int) else None
        return Instance(sent.id, sent.entity, raw, payload, filled, number)

    def _sent(self, parsed: Any, payload: bytes) -> Sent:
        id_ = self._new_id() if parsed.id is None else str(parsed.id)
        members = (getattr(parsed, name) for name in self._entity_members)
        entity = id_ if self._contract.entity == "id" else "/".join(members)
        samples = None
        if self._contract.window is not None:
            # None becomes NaN, which is what `cut_window` takes for "not sent"
            values = chain.from_iterable(map(self._values, parsed.samples))
            count = len(parsed.samples) * len(self._contract.fields)
            samples = np.fromiter(values, np.float64, count).reshape(len(parsed.samples), -1)
        return Sent(parsed, payload, id_, entity, samples)


def stack(instances: Sequence[Instance]) -> FloatArray:
    """The raw batch, (n, *contract.raw_shape), of at least one instance."""
    return np.stack([instance.raw for instance in instances])


def instance_model(contract: Contract) -> type[BaseModel]:
    """The pydantic model of one instance. The contract's names are aliases, so that they may be any text."""
    fields: dict[str, Any] = {
        "id": (
            id_type(contract) | None,
            Field(default=None, description="your id of it; one is made if you send none"),
        ),
        "schema_version": (
            Literal[contract.schema_version] | None,
            Field(default=None, description="version of the contract that you speak"),
        ),
    }
    for position, name in enumerate(contract.entity_names):
        if name != "id":
            title = Field(alias=name, title=name, description="what the data are about")
            fields[_entity_attribute(position)] = (Name, title)
    values: dict[str, Any] = {_attribute(i): _member(spec) for i, spec in enumerate(contract.fields)}
    config = ConfigDict(extra="forbid", frozen=True)
    if contract.window is None:
        fields |= values
    else:
        sample = create_model(f"{contract.workload}_sample", __config__=config, **values)
        window = contract.window
        limits = Field(min_length=window.min_samples, max_length=window.max_samples, fail_fast=True)
        description = f"oldest first, {window.samples_text}"
        fields["samples"] = (Annotated[list[sample], limits], Field(description=description))
    if contract.example:
        config["json_schema_extra"] = {"examples": [contract.example]}
    return create_model(f"{contract.workload}_instance", __config__=config, **fields)


def batch_model(instance: type[BaseModel]) -> type[BaseModel]:
    """The pydantic model of `{"instances": [...]}`."""
    limits = Field(min_length=1, max_length=MAX_INSTANCES, fail_fast=True)
    instances: Any = (Annotated[list[instance], limits], Field(description="answered in this order"))  # type: ignore[valid-type]
    name = instance.__name__.replace("_instance", "_batch")
    return create_model(name, __config__=ConfigDict(extra="forbid", frozen=True), instances=instances)


def instance_json_schema(contract: Contract) -> dict[str, Any]:
    """The contract as JSON Schema, with the unit of each field as `x-unit`."""
    schema = instance_model(contract).model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": contract.workload,
        "description": contract.description,
        "x-schema-version": contract.schema_version,
        "x-target": {"name": contract.target.name, "unit": contract.target.unit, "task": contract.task},
    }


def _entity_attribute(position: int) -> str:
    return f"entity_{position}"


def _attribute(position: int) -> str:
    return f"field_{position}"


def _member(spec: FieldSpec) -> tuple[Any, Any]:
    """Type and rules of one field; only fields with a fill may be absent or null."""
    if spec.categories:
        title = Field(alias=spec.name, title=spec.name, description=spec.description or spec.name)
        return Literal[spec.categories], title
    rules: dict[str, Any] = {
        "alias": spec.name,
        "title": spec.name,
        "description": f"{spec.description or spec.name}, {spec.unit}",
        "json_schema_extra": {"x-unit": spec.unit},
    }
    if spec.fill is not None:
        rules["json_schema_extra"]["x-fill"] = spec.fill.model_dump(exclude_none=True)
    number = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=spec.minimum, le=spec.maximum)]
    return (number, Field(**rules)) if spec.required else (number | None, Field(default=None, **rules))


def _filled_row(
    contract: Contract, values: tuple[float | str | None, ...]
) -> tuple[FloatArray, dict[str, int]]:
    """(fields,) of a table row, with what was filled."""
    row = np.empty(len(values))
    filled: dict[str, int] = {}
    for position, (spec, value) in enumerate(zip(contract.fields, values, strict=True)):
        if value is not None:
            row[position] = spec.categories.index(value) if isinstance(value, str) else value
            continue
        assert spec.fill is not None, "required fields are checked by the model"
        if spec.fill.constant is not None:
            row[position] = spec.fill.constant
        else:
            assert spec.fill.same_as is not None, "a table row has no derivatives"
            row[position] = row[contract.field_names.index(spec.fill.same_as)]
        filled[spec.name] = 1
    return row, filled


def _too_many(error: ValidationError) -> str | None:
    """How many instances were sent, if that is what is wrong."""
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "too_long" and first["loc"] == ("instances",):
        return str(first["ctx"]["actual_length"] or "more")
    return None
