"""Alembic's migrations of the store: `versions/` has one file a revision, `REVISIONS` names them in order.

A change of the tables is made in their definitions, and in a new file here that brings a store of the last
revision to them. What a file says about tables is said once and for all: it imports none of their
definitions, which go on changing. There is no way down: whoever may want to go back keeps a copy.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

FOLDER = Path(__file__).parent


def configuration() -> Config:
    """Of alembic's commands."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def migrate(connection: Connection, revision: str = "head") -> None:
    """Upgrade, within the transaction of the connection, which other writers wait for."""
    config = configuration()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
