"""Predictions and truths tell who has sent them."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, String, true

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the addresses; the truths that are there count as before, as sent with the key."""
    for table in ("predictions", "truths", "repeated_truths"):
        op.add_column(table, Column("sent_by", String(120)))
    for table in ("truths", "repeated_truths"):
        op.add_column(table, Column("with_key", Boolean, nullable=False, server_default=true()))
