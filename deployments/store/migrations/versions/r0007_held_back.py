"""The routing table says which champions are not what serves."""

from __future__ import annotations

from alembic import op
from sqlalchemy import JSON, Column

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column; until the lifecycle controller has looked, there are none."""
    op.add_column("routing", Column("held_back", JSON(none_as_null=True)))
