"""Figures of every ten minutes for the charts, and the indexes by which Now finds what is recent."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

COUNTED = ("messages", "tasks_done", "tasks_failed", "approvals", "sessions", "gateways", "seats_taken", "seats")


def upgrade() -> None:
    """A table that is filled from now on; indexes over what is few."""
    op.create_table(
        "hub_figures",
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_message_id", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in COUNTED),
        sa.Column("approval_wait", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("at", name=op.f("pk_hub_figures")),
    )
    op.create_index(
        "ix_messages_unrouted",
        "messages",
        ["user_id", "id"],
        postgresql_where=sa.text("user_id IS NOT NULL AND delivery IS NULL AND why IS NOT NULL"),
    )
    op.create_index(
        "ix_permission_requests_decided_at",
        "permission_requests",
        ["decided_at"],
        postgresql_where=sa.text("decided_at IS NOT NULL"),
    )
