"""The mapping from problem documents to the kinds of errors that are counted."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from deployments.telemetry.metrics.catalogue import ERROR_KINDS

_KIND_BY_PROBLEM: Mapping[str, str] = MappingProxyType(
    {
        "malformed-json": "malformed",
        "unknown-encoding": "malformed",
        "schema-version": "schema_version",
        "too-large": "too_large",
        "id-in-use": "conflict",
        "invalid-field": "invalid",
        "invalid-fields": "invalid",
        "invalid-input": "invalid",
    }
)


def error_kind(problem: str) -> str:
    """Return the kind of error of a problem, one of `ERROR_KINDS`.

    Args:
        problem: the end of its `type`, for example `malformed-json`.
    """
    kind = _KIND_BY_PROBLEM.get(problem) or problem.replace("-", "_")
    return kind if kind in ERROR_KINDS else "other"
