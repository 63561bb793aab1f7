"""Validation errors of pydantic, translated into the contract's words."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from deployments.domain.errors import MAX_ERRORS, InvalidFields
from deployments.domain.ids import id_text
from deployments.requests.json_bodies import check_members, read_json
from features.contract import Contract
from features.errors import BODY, FieldError, InvalidInput, SchemaVersionError, cut, printable

Model = TypeVar("Model", bound=BaseModel)

# Members of an object, and items of a list, of what administers a workload: as many as arms, and some more.
_MOST_MEMBERS = 100
_MAX_NAME = 80


def translate(contract: Contract, error: ValidationError) -> InvalidInput:
    """Return the exception to raise in place of pydantic's about an instance.

    One of another schema version is SchemaVersionError, whatever else is wrong with it; all else FieldError,
    or InvalidFields when several fields are wrong.
    """
    found = error.errors(include_url=False)
    for one in found:
        if one["type"] == "literal_error" and one["loc"][-1] == "schema_version":
            sent = one["input"]
            return SchemaVersionError(
                sent if isinstance(sent, str) else printable(sent), contract.schema_version
            )
    errors = tuple(_field_error(contract, one) for one in found[:MAX_ERRORS])
    return invalid_fields(errors, len(found) - len(errors))


def read_model(kind: type[Model], body: bytes, called: str = BODY) -> Model:
    """Return the model in a JSON body.

    Args:
        kind: the expected model.
        body: as it came.
        called: name of the whole in an error.

    Raises:
        MalformedJson: it is no JSON.
        FieldError, InvalidFields: it does not fit the model.
    """
    check_members(read_json(body), _MOST_MEMBERS)
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False)
    errors = tuple(
        FieldError(path_text(one["loc"]) or called, one["input"], one["msg"]) for one in found[:MAX_ERRORS]
    )
    raise invalid_fields(errors, len(found) - len(errors))


def within(error: InvalidInput, place: str) -> InvalidInput:
    """Return the error of an item as one of the whole in which it has this place."""
    if isinstance(error, FieldError):
        return error.within(place)
    if isinstance(error, InvalidFields):
        return InvalidFields(tuple(one.within(place) for one in error.errors), error.more)
    return error


def invalid_fields(errors: tuple[FieldError, ...], more: int = 0) -> FieldError | InvalidFields:
    """Return the only error as it is, or several, of which `more` are not among them, as one."""
    return errors[0] if len(errors) + more == 1 else InvalidFields(errors, more)


def _field_error(contract: Contract, one: Any) -> FieldError:
    # what pydantic calls the input of a missing field is the whole object around it
    value = None if one["type"] == "missing" else one["input"]
    return FieldError(path_text(one["loc"]) or BODY, value, _expected(contract, one))


def path_text(location: tuple[int | str, ...]) -> str:
    """Return samples[3].altitude_m for ("samples", 3, "altitude_m"), long names cut."""
    return "".join(
        f"[{part}]" if isinstance(part, int) else f".{cut(part, _MAX_NAME)}" for part in location
    ).removeprefix(".")


def _expected(contract: Contract, one: Any) -> str:
    name = one["loc"][-1] if one["loc"] else None
    if one["type"] == "extra_forbidden":
        return f"no field of this name; the fields are {', '.join(_members(contract, one['loc']))}"
    for spec in contract.fields:
        if spec.name == name:
            return spec.range_text
    if name in ("id", *contract.entity_names):
        return id_text(contract)
    if name == "schema_version":
        return repr(contract.schema_version)
    if name == "samples" and contract.window:
        return f"a list of {contract.window.min_samples} to {contract.window.max_samples} samples"
    return "an object"


def _members(contract: Contract, location: tuple[int | str, ...]) -> list[str]:
    """Return the names of the members of the object in which `location` lies."""
    if contract.window and "samples" in location[:-1]:
        return list(contract.field_names)
    own = ["samples"] if contract.window else contract.field_names
    return list(dict.fromkeys(["id", "schema_version", *contract.entity_names, *own]))
