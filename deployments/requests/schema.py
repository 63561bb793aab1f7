"""The request models of a contract, and their JSON Schema."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from deployments.domain.ids import Name, id_type
from features.contract import Contract, FieldSpec

MAX_INSTANCES = 10_000


def instance_model(contract: Contract) -> type[BaseModel]:
    """Make the pydantic model of one instance; the contract's names are aliases, so they may be any text."""
    fields = _naming(contract)
    values: dict[str, Any] = {field_attribute(i): _member(spec) for i, spec in enumerate(contract.fields)}
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


def naming_model(contract: Contract) -> type[BaseModel]:
    """Make the pydantic model of one instance without samples and values."""
    config = ConfigDict(extra="forbid", frozen=True)
    return create_model(f"{contract.workload}_naming", __config__=config, **_naming(contract))


def instance_json_schema(contract: Contract) -> dict[str, Any]:
    """Return the contract as JSON Schema, with the unit of each field as `x-unit`."""
    schema = instance_model(contract).model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": contract.workload,
        "description": contract.description,
        "x-schema-version": contract.schema_version,
        "x-target": {"name": contract.target.name, "unit": contract.target.unit, "task": contract.task},
    }


def entity_attribute(position: int) -> str:
    """Return the attribute of a model that holds this part of the entity's name."""
    return f"entity_{position}"


def field_attribute(position: int) -> str:
    """Return the attribute of a model that holds this field of the contract."""
    return f"field_{position}"


def _naming(contract: Contract) -> dict[str, Any]:
    """Return the members that identify an instance."""
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
            fields[entity_attribute(position)] = (Name, title)
    return fields


def _member(spec: FieldSpec) -> tuple[Any, Any]:
    """Return type and rules of one field; only fields with a fill may be absent or null."""
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
