"""Answers under way are kept as they are: written anew every second, they are not worth being made smaller."""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """To make 200,000 letters smaller takes the database ten times as long as to store them."""
    op.execute("ALTER TABLE running_answers ALTER COLUMN text SET STORAGE EXTERNAL")
