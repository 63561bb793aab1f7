"""From problem documents to the few kinds of errors that are counted."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from deployments.telemetry.metrics.catalogue import ERROR_KINDS

_COUNTED_AS: Mapping[str, str] = MappingProxyType(
    {
        "malformed-json": "malformed",
        "schema-version": "schema_version",
        "too-large": "too_large",
        "invalid-field": "invalid",
        "invalid-fields": "invalid",
        "invalid-input": "invalid",
    }
)


def counted_as(problem: str) -> str:
    """What a problem is counted as, one of `ERROR_KINDS`.

    Args:
        problem: the end of its `type`, for example `malformed-json`.
    """
    kind = _COUNTED_AS.get(problem) or problem.replace("-", "_")
    return kind if kind in ERROR_KINDS else "other"
