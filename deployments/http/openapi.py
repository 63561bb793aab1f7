"""The OpenAPI description of a workload: schemas from its contract, and examples of the running model."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from deployments.domain.ids import id_schema
from deployments.http.problems import Problem
from deployments.requests.schema import MAX_INSTANCES, instance_json_schema
from features.contract import Contract

_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_WORDS = {
    400: "the body is not JSON",
    401: "the key is missing or wrong",
    404: "there is no such thing",
    408: "the body comes too slowly",
    409: "the schema version or the revision is another one",
    413: "too many bytes or instances",
    415: "the body is compressed",
    422: "a field holds what the contract does not allow; the body names it",
    429: "too many requests without the right key come from the address; Retry-After says when",
    503: "no answer now; Retry-After says when",
}
_OF_BODIES = (400, 408, 413, 415, 422)


def complete_openapi(app: FastAPI) -> None:
    """Let the document of an application have the problems that any of its routes may answer."""
    write_openapi = app.openapi

    def openapi() -> dict[str, Any]:
        text = write_openapi()
        schemas = text.setdefault("components", {}).setdefault("schemas", {})
        if "Problem" in schemas:
            return text
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= problem.pop("$defs") | {"Problem": problem}
        for operation in (one for path in text["paths"].values() for one in path.values()):
            statuses = {401, 429, *(_OF_BODIES if "requestBody" in operation else ())}
            # FastAPI has a form of its own for them, which nothing here has
            statuses |= {422} if "parameters" in operation else set()
            answers = {str(status): answer for status, answer in problem_answers(*statuses).items()}
            operation["responses"] = operation.get("responses", {}) | answers
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        return text

    app.openapi = openapi  # type: ignore[method-assign]


def json_body(schema: dict[str, Any], example: Any, *, required: bool = True) -> dict[str, Any]:
    """Return `openapi_extra` for a route that reads its body by itself."""
    content = {"application/json": {"schema": without_refs(schema), "example": example}}
    return {"requestBody": {"required": required, "content": content}}


def without_refs(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON Schema with its definitions in place: `$defs` mean nothing within a document."""
    definitions = {f"#/$defs/{name}": one for name, one in schema.get("$defs", {}).items()}

    def resolve(part: Any) -> Any:
        if isinstance(part, list):
            return [resolve(one) for one in part]
        if not isinstance(part, dict):
            return part
        if part.get("$ref") in definitions:
            rest = {name: one for name, one in part.items() if name != "$ref"}
            return resolve(definitions[part["$ref"]] | rest)
        return {name: resolve(one) for name, one in part.items() if name != "$defs"}

    resolved: dict[str, Any] = resolve(schema)
    return resolved


def json_answers(
    status: int, schema: dict[str, Any], description: str, *problems: int
) -> dict[int | str, dict[str, Any]]:
    """Return the responses of a route: the good one, and its possible problems."""
    good = {"description": description, "content": {"application/json": {"schema": schema}}}
    return {status: good, **problem_answers(*problems)}


def problem_answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the error responses of a route, all of one shape."""
    return {status: {"description": _WORDS[status], "content": _PROBLEM} for status in statuses}


def prediction_schema(contract: Contract) -> dict[str, Any]:
    """Return the JSON Schema of the answer to one instance."""
    members: dict[str, Any] = {
        "id": {**id_schema(contract), "description": "yours; send the truth back under it"},
        **contract.target.answer_schema(),
        "coverage": {"type": "number", "description": "nominal share of truths inside such regions"},
        "outlier_score": {
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "description": "share of a sample of the training data that is more usual than this instance; "
            "1: outside of all of it, the training data had nothing like it",
        },
        "arm": {"type": "string"},
        "model_version": {"type": "string"},
        "bundle": {"type": "string", "description": "content hash of the model that answered"},
        "schema_version": {"type": "string"},
        "fallback": {"type": "boolean", "description": "whether another arm was the first choice"},
    }
    return {"title": "Prediction", "type": "object", "properties": members, "required": list(members)}


def batch_schema(contract: Contract) -> dict[str, Any]:
    """Return the JSON Schema of the body of batch_predict."""
    items = without_refs(instance_json_schema(contract))
    instances = {"type": "array", "items": items, "minItems": 1, "maxItems": MAX_INSTANCES}
    return {
        "type": "object",
        "properties": {"instances": instances},
        "required": ["instances"],
        "additionalProperties": False,
    }


def batch_answer_schema(contract: Contract) -> dict[str, Any]:
    """Return the JSON Schema of the answer to a batch."""
    predictions = {"type": "array", "items": prediction_schema(contract)}
    return {"type": "object", "properties": {"predictions": predictions}, "required": ["predictions"]}
