"""When a gateway last said something of a task's run."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """A column that is null for all that is there."""
    op.add_column("tasks", sa.Column("heard_at", sa.DateTime(timezone=True), nullable=True))
