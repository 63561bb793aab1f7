"""Routes that show the rows of the lifecycle of one workload: the last ones, and one by its id."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import GenericAlias
from typing import Protocol, TypeVar

from fastapi import FastAPI, Path

from deployments.domain.errors import NotFound
from deployments.http import openapi as docs


class Row(Protocol):
    """A row that belongs to a workload."""

    @property
    def workload(self) -> str:
        """The name of the workload."""
        ...


_Row = TypeVar("_Row", bound=Row)
_Row_co = TypeVar("_Row_co", bound=Row, covariant=True)


class Rows(Protocol[_Row_co]):
    """A part of the store: promotions or retrainings of all workloads."""

    def latest(self, workload: str) -> Sequence[_Row_co]:
        """Return the last ones, newest first."""
        ...

    def get(self, id_: str, /) -> _Row_co:
        """Return the one with this id.

        Raises:
            NotFound: there is none.
        """
        ...


def add_rows(app: FastAPI, workload: str, name: str, kind: type[_Row], rows: Rows[_Row]) -> None:
    """Add `/{name}s` and `/{name}s/{id}`, which answer rows of this kind."""

    @app.get(
        f"/{name}s",
        name=f"{name}s",
        summary=f"The last {name}s, newest first",
        response_model=GenericAlias(list, kind),
        responses=docs.problem_answers(503),
    )
    async def latest() -> Sequence[_Row]:
        return await asyncio.to_thread(rows.latest, workload)

    @app.get(
        f"/{name}s/{{{name}_id}}",
        name=name,
        summary=f"The state of a {name}",
        response_model=kind,
        responses=docs.problem_answers(404, 503),
    )
    async def one(id_: str = Path(alias=f"{name}_id")) -> _Row:
        found = await asyncio.to_thread(rows.get, id_)
        if found.workload != workload:
            raise NotFound(f"no {name} {id_!r} of {workload}")
        return found
