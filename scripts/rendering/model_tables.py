"""Tables for people of pydantic models: key, type, default, meaning."""

from __future__ import annotations

import enum
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

_WORDS: Mapping[Any, str] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    Path: "path",
    type(None): "null",
    Any: "any",
}
_SIGNS: Mapping[type, str] = {Ge: ">=", Gt: ">", Le: "<=", Lt: "<"}


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; a pipe within a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def field_table(model: type[BaseModel]) -> str:
    """Return the table of the fields of a model, in the order of their declaration."""
    rows = [
        (f"`{field.alias or name}`", type_text(field), default_text(field), field.description or "")
        for name, field in model.model_fields.items()
    ]
    return markdown_table(("key", "type", "default", "meaning"), rows)


def type_text(field: FieldInfo) -> str:
    """Return the type and the bounds of a field in words, such as `number > 0`."""
    bounds = [
        f"{sign} {getattr(bound, sign_name):g}"
        for bound in field.metadata
        for kind, sign in _SIGNS.items()
        if isinstance(bound, kind)
        for sign_name in (kind.__name__.lower(),)
    ]
    bounds += [f"at least {bound.min_length}" for bound in field.metadata if isinstance(bound, MinLen)]
    return ", ".join([annotation_text(field.annotation), *bounds])


def default_text(field: FieldInfo) -> str:
    """Return the default as YAML would have it; `required` where there is none, empty for a section."""
    if field.is_required():
        return "required"
    return value_text(field.get_default(call_default_factory=True, validated_data={}))


def value_text(value: object) -> str:
    """Return a value as it is written in YAML, in backquotes; empty for a section, or nothing."""
    if isinstance(value, BaseModel) or value == "":
        return ""
    return f"`{_plain(value)}`"


def annotation_text(annotation: Any) -> str:
    """Return a type in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return annotation_text(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{argument}`" for argument in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(annotation_text(argument) for argument in arguments))
    if origin in (tuple, list):
        return f"list of {annotation_text(arguments[0])}"
    if origin is dict:
        return f"mapping of {annotation_text(arguments[0])} to {annotation_text(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return " or ".join(f"`{member.value}`" for member in annotation)
    return _WORDS.get(annotation, "text")


def _plain(value: object) -> str:
    if isinstance(value, enum.Enum):
        return str(value.value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{', '.join(_plain(item) for item in value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
