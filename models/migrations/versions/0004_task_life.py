"""What a task lives through: kept for an absent agent, in steps, handed on by agents, stuck, told of."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Adds the columns, and what finds their rows."""
    op.add_column("tasks", sa.Column("position", sa.Integer(), nullable=True))
    op.add_column("tasks", sa.Column("hops", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("tasks", sa.Column("preface", sa.Text(), nullable=True))
    for name in ("aimed_at", "absence_told_at", "untold_at"):
        op.add_column("tasks", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    partly = {
        "ix_tasks_parent_id": ("parent_id", "parent_id IS NOT NULL"),
        "ix_tasks_untold": ("agent_id", "untold_at IS NOT NULL"),
        "ix_tasks_delegated": ("sent_to", "status = 'delegated'"),
    }
    for name, (column, which) in partly.items():
        op.create_index(name, "tasks", [column], postgresql_where=sa.text(which))
