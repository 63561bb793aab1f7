"""Errors of a file that is not scored, beside records that do not fit."""

from __future__ import annotations


class OtherRun(ValueError):
    """Parts lie there already, of another model or input."""


class ScoringFailed(RuntimeError):
    """An actor failed; the parts that are done are kept."""
