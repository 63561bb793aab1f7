"""Validation errors of pydantic, translated into the contract's words."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from deployments.domain.errors import InvalidFields, MalformedJson
from deployments.domain.ids import id_text
from features.contract import Contract
from features.errors import FieldError, SchemaVersionError

Model = TypeVar("Model", bound=BaseModel)


def translate(contract: Contract, error: ValidationError, *, batch: bool = False) -> Exception:
    """Return the exception to raise in place of pydantic's.

    A body that is no JSON is MalformedJson; one of another schema version SchemaVersionError, whatever else
    is wrong with it; all else FieldError, or InvalidFields when several fields are wrong.
    """
    found = error.errors(include_url=False)
    for one in found:
        if one["type"] == "json_invalid":
            return MalformedJson(f"The body is not JSON: {one['ctx']['error']}")
        if one["type"] == "literal_error" and one["loc"][-1] == "schema_version":
            return SchemaVersionError(str(one["input"]), contract.schema_version)
    errors = tuple(_field_error(contract, one, batch) for one in found)
    return errors[0] if len(errors) == 1 else InvalidFields(errors)


def read_model(kind: type[Model], body: bytes, called: str = "body") -> Model:
    """Return the model in a JSON body.

    Args:
        kind: the expected model.
        body: as it came.
        called: name of the whole in an error.

    Raises:
        MalformedJson: it is no JSON.
        FieldError, InvalidFields: it does not fit the model.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False)
    if found[0]["type"] == "json_invalid":
        raise MalformedJson(f"The body is not JSON: {found[0]['ctx']['error']}")
    errors = tuple(FieldError(path_text(one["loc"]) or called, one["input"], one["msg"]) for one in found)
    raise errors[0] if len(errors) == 1 else InvalidFields(errors)


def _field_error(contract: Contract, one: Any, batch: bool) -> FieldError:
    # what pydantic calls the input of a missing field is the whole object around it
    value = None if one["type"] == "missing" else one["input"]
    return FieldError(path_text(one["loc"]) or "body", value, _expected(contract, one, batch))


def path_text(location: tuple[int | str, ...]) -> str:
    """Return samples[3].altitude_m for ("samples", 3, "altitude_m")."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(
        "."
    )


def _expected(contract: Contract, one: Any, batch: bool) -> str:
    name = one["loc"][-1] if one["loc"] else None
    if one["type"] == "extra_forbidden":
        return f"no field of this name; the fields are {', '.join(_members(contract, one['loc'], batch))}"
    for spec in contract.fields:
        if spec.name == name:
            return spec.range_text
    if name in ("id", *contract.entity_names):
        return id_text(contract)
    if name == "schema_version":
        return repr(contract.schema_version)
    if name == "samples" and contract.window:
        return f"a list of {contract.window.min_samples} to {contract.window.max_samples} samples"
    if name == "instances":
        return "a list of at least one instance"
    return "an object"


def _members(contract: Contract, location: tuple[int | str, ...], batch: bool) -> list[str]:
    """Return the names of the members of the object in which `location` lies."""
    if batch and len(location) == 1:
        return ["instances"]
    if contract.window and "samples" in location[:-1]:
        return list(contract.field_names)
    own = ["samples"] if contract.window else contract.field_names
    return list(dict.fromkeys(["id", "schema_version", *contract.entity_names, *own]))
