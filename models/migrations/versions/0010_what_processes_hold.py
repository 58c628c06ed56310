"""What only one process knows, on its row: the others read it there."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Adds the column."""
    op.add_column("processes", sa.Column("holds", JSONB(), nullable=False, server_default="{}"))
