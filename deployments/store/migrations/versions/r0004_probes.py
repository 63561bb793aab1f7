"""Predictions tell whether they were asked for by a probe."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, false

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the mark; what is there counts as before."""
    op.add_column("predictions", Column("probe", Boolean, nullable=False, server_default=false()))
