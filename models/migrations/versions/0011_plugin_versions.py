"""What a plugin's session calls itself when it registers."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """A column that is null until a session registers again."""
    op.add_column("agent_sessions", sa.Column("program", sa.String(length=120), nullable=True))
