"""When something last happened in a topic, as a column that lists are read along; indexes that pages want."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

FILL = """
UPDATE topics SET active_at = coalesce((SELECT created_at FROM messages WHERE id = last_message_id), created_at)
"""


def upgrade() -> None:
    """Adds it, fills it, and lays the indexes along it."""
    born = sa.text("now()")
    op.add_column("topics", sa.Column("active_at", sa.DateTime(timezone=True), server_default=born, nullable=False))
    op.execute(sa.text(FILL))
    op.drop_index("ix_topics_creative_id", "topics")
    op.create_index("ix_topics_creative_id_active_at", "topics", ["creative_id", "active_at"])
    open_ = sa.text("archived_at IS NULL")
    op.create_index("ix_topics_active_at", "topics", ["active_at", "id"], postgresql_where=open_)
    ended = sa.text("finished_at IS NOT NULL")
    op.create_index("ix_tasks_finished_at", "tasks", ["finished_at"], postgresql_where=ended)
    words = sa.text("to_tsvector('simple'::regconfig, name)")
    op.create_index("ix_topics_name_words", "topics", [words], postgresql_using="gin")
