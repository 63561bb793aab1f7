"""The script that alembic runs for a command; `migrate` gives the connection and its transaction."""

from __future__ import annotations

from alembic import context

from deployments.store.migrations.upgrade import REVISION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=REVISION_TABLE)
with context.begin_transaction():
    context.run_migrations()
