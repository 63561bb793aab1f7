"""Repeated truths have an index that goes by their cursor; versions of ensembles may be of any length.

Both are for PostgreSQL. In SQLite every index ends with the cursor, and lengths are ignored.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Replace the index of one column; let names of ensembles be as long as they are."""
    op.create_index("repeated_truths_by_cursor", "repeated_truths", ["workload", "seq"])
    op.drop_index("repeated_truths_by_workload", "repeated_truths")
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("predictions", "model_version", type_=Text())
