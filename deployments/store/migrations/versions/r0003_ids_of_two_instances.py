"""Predictions remember when their id was used again for another instance."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, DateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the time; the ids that are there stand for one instance each, as far as is known."""
    op.add_column("predictions", Column("reused_at", DateTime(timezone=True)))
