"""A query for predictions with their truths, as a value that is recorded and can be run again.

Pairs are never changed or deleted and come in the order of their cursor, so an equal query gives equal pairs
at any later time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class JournalQuery(BaseModel):
    """The pairs of a workload after one cursor up to another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workload: str
    schema_version: str = Field(description="of the contract that the instances were sent under")
    after: int = Field(ge=0, description="cursor of the last pair that is left out")
    until: int = Field(ge=0, description="cursor of the last pair that is in")
    since: AwareDatetime | None = Field(default=None, description="predictions made earlier are left out")


@dataclass(frozen=True)
class Example:
    """An instance with its truth.

    Attributes:
        seq: the cursor.
        entity: what it is about.
        payload: the instance as JSON text.
        at: UTC time of its prediction.
        truth: the value of the target, as it was sent.
    """

    seq: int
    id: str
    entity: str
    payload: str
    at: datetime
    truth: Any


class Journal(Protocol):
    """The journal, as a source of pairs."""

    def examples(self, query: JournalQuery, after: int, limit: int) -> Sequence[Example]:
        """Return at most `limit` of the query's pairs after the cursor `after`, in its order."""
        ...
