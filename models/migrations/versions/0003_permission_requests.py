"""Approvals, and what they and quota suspension need of tokens, tasks and agents."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """The table of permission requests; columns that are null or zero for all that is there."""
    op.create_table(
        "permission_requests",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("request_id", sa.String(length=255), nullable=False),
        sa.Column("agent_id", sa.BigInteger(), nullable=False),
        sa.Column("topic_id", sa.BigInteger(), nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=True),
        sa.Column("message_id", sa.BigInteger(), nullable=True),
        sa.Column("gateway_id", sa.BigInteger(), nullable=True),
        sa.Column("approver_id", sa.BigInteger(), nullable=False),
        sa.Column("tool_name", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("input", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("question", sa.Text(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("behavior", sa.String(length=16), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("decided_by_id", sa.BigInteger(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("turn_finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("continuation_task_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name=op.f("fk_permission_requests_agent_id")),
        sa.ForeignKeyConstraint(["approver_id"], ["users.id"], name=op.f("fk_permission_requests_approver_id")),
        sa.ForeignKeyConstraint(["decided_by_id"], ["users.id"], name=op.f("fk_permission_requests_decided_by_id")),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name=op.f("fk_permission_requests_message_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_permission_requests_task_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["topic_id"], ["topics.id"], name=op.f("fk_permission_requests_topic_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_permission_requests")),
    )
    table = "permission_requests"
    op.create_index("ix_permission_requests_agent_id_request_id", table, ["agent_id", "request_id", "id"])
    op.create_index("ix_permission_requests_topic_id", table, ["topic_id"])
    op.create_index("ix_permission_requests_task_id", table, ["task_id"])
    op.create_index("ix_permission_requests_message_id", table, ["message_id"])
    op.create_index("ix_permission_requests_approver_id", table, ["approver_id"])
    pending, unfinished = "status = 'pending'", "turn_finished_at IS NOT NULL AND continuation_task_id IS NULL"
    op.create_index("ix_permission_requests_pending", table, ["topic_id"], postgresql_where=sa.text(pending))
    op.create_index("ix_permission_requests_unfinished", table, ["agent_id"], postgresql_where=sa.text(unfinished))

    op.add_column("access_tokens", sa.Column("plugin_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("agents", sa.Column("quota_retries", sa.Integer(), server_default="0", nullable=False))
    op.add_column("tasks", sa.Column("approval_request_id", sa.String(length=255), nullable=True))
    op.add_column("tasks", sa.Column("suspended_for", sa.String(length=16), nullable=True))
    suspended = sa.text("status = 'suspended'")
    op.create_index("ix_tasks_suspended", "tasks", ["suspended_for", "until"], postgresql_where=suspended)
