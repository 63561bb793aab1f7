"""Alembic with the folder of the migrations. Imported where a store is to be upgraded, and nowhere else."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

FOLDER = Path(__file__).parent


def configuration() -> Config:
    """Return the configuration of alembic's commands."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def migrate(connection: Connection, revision: str = "head") -> None:
    """Upgrade within the transaction of the connection, for which other writers wait."""
    config = configuration()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
