"""Databases for stores under test, of each kind that a store can have."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from deployments.store import Store
from deployments.store.sql.engine import writing
from deployments.store.sql.schema import metadata
from tests.support.postgres import Cluster

_TEMPLATE = "raysonde_template"


class Databases(Protocol):
    """Makes databases of one kind, each for as long as it is used."""

    kind: str

    def add(self, *, with_tables: bool = True) -> str:
        """The URL of a new one; an empty store, unless it is to be made."""

    def remove(self, url: str) -> None:
        """Connections that are left are cut."""


def empty_store(folder: Path) -> str:
    """The URL of a new SQLite store in the folder, a copy of one that was made once."""
    (folder / "store.db").write_bytes(_empty_file())
    return f"sqlite:///{folder}/store.db"


@lru_cache
def _empty_file() -> bytes:
    with TemporaryDirectory() as folder:
        _make_tables(f"sqlite:///{folder}/store.db")
        return Path(folder, "store.db").read_bytes()


class SqliteDatabases:
    """Files in a folder."""

    kind = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._added = 0

    def add(self, *, with_tables: bool = True) -> str:
        """See `Databases`."""
        self._added += 1
        folder = self._folder / str(self._added)
        folder.mkdir()
        return empty_store(folder) if with_tables else f"sqlite:///{folder}/store.db"

    def remove(self, url: str) -> None:
        """See `Databases`."""
        shutil.rmtree(Path(url.removeprefix("sqlite:///")).parent, ignore_errors=True)


class PostgresDatabases:
    """Of one cluster."""

    kind = "postgresql"

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._added = 0
        self._add(_TEMPLATE, "template1")
        _make_tables(cluster.url(_TEMPLATE))

    def add(self, *, with_tables: bool = True) -> str:
        """See `Databases`."""
        self._added += 1
        name = f"store_{self._added}"
        self._add(name, _TEMPLATE if with_tables else "template1")
        return self._cluster.url(name)

    def remove(self, url: str) -> None:
        """See `Databases`."""
        name = url.partition("?")[0].rpartition("/")[2]
        self._cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _add(self, name: str, template: str) -> None:
        # the usual way writes the copy to the log, three times as slowly
        self._cluster.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")


@contextmanager
def one_of(databases: Databases, *, with_tables: bool = True) -> Iterator[str]:
    """The URL of a new database, which is removed afterwards."""
    url = databases.add(with_tables=with_tables)
    try:
        yield url
    finally:
        databases.remove(url)


def clear(store: Store) -> None:
    """Take all rows out, where a database for each example would take too long."""
    with writing(store.engine) as connection:
        for table in metadata.sorted_tables:
            connection.execute(table.delete())


def _make_tables(url: str) -> None:
    with closing(Store(url)) as store:
        store.create_tables()
