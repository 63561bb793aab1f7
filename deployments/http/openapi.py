"""The OpenAPI description of a workload: schemas from its contract, and examples of the running model."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from deployments.domain.ids import id_schema
from deployments.http.problems import Problem
from deployments.requests.schema import instance_json_schema
from features.contract import Contract


def json_body(schema: dict[str, Any], example: Any) -> dict[str, Any]:
    """Return `openapi_extra` for a route that reads its body by itself."""
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "example": example}},
        }
    }


def json_answers(
    status: int, schema: dict[str, Any], description: str, *problems: int
) -> dict[int | str, dict[str, Any]]:
    """Return the responses of a route: the good one, and its possible problems."""
    good = {"description": description, "content": {"application/json": {"schema": schema}}}
    return {status: good, **problem_answers(*problems)}


def problem_answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the error responses of a route, all of one shape."""
    words = {
        400: "the body is not JSON",
        401: "the key is missing or wrong",
        404: "there is no such thing",
        409: "the schema version or the revision is another one",
        413: "too many bytes or instances",
        422: "a field holds what the contract does not allow; the body names it",
        503: "no answer now; Retry-After says when",
    }
    content = {"application/problem+json": {"schema": _problem_schema()}}
    return {status: {"description": words[status], "content": content} for status in statuses}


@lru_cache
def _problem_schema() -> dict[str, Any]:
    # the same for all, and half of the time that an application takes to be built
    return Problem.model_json_schema()


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
    instances = {"type": "array", "items": instance_json_schema(contract), "minItems": 1}
    return {"type": "object", "properties": {"instances": instances}, "required": ["instances"]}


def batch_answer_schema(contract: Contract) -> dict[str, Any]:
    """Return the JSON Schema of the answer to a batch."""
    predictions = {"type": "array", "items": prediction_schema(contract)}
    return {"type": "object", "properties": {"predictions": predictions}, "required": ["predictions"]}
