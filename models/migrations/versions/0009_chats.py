"""Chats, the pools of seats they are answered on, and who sat where."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

TIME = sa.DateTime(timezone=True)
NOW = sa.text("now()")


def id_column() -> sa.Column:
    return sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False)


def born_column() -> sa.Column:
    return sa.Column("created_at", TIME, server_default=NOW, nullable=False)


def upgrade() -> None:
    """Tables that are new, and a column that is null for all that is there."""
    op.create_table(
        "chat_pools",
        id_column(),
        sa.Column("gateway_id", sa.BigInteger(), nullable=False),
        sa.Column("workspace_agent", sa.String(length=200), nullable=True),
        sa.Column("when_full", sa.String(length=16), nullable=False),
        sa.Column("last_number", sa.BigInteger(), nullable=False),
        born_column(),
        sa.ForeignKeyConstraint(
            ["gateway_id"],
            ["gateways.id"],
            name=op.f("fk_chat_pools_gateway_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chat_pools")),
    )
    op.create_index(
        "uq_chat_pools_agent",
        "chat_pools",
        ["gateway_id", sa.text("lower(coalesce(workspace_agent, ''))")],
        unique=True,
    )
    op.create_table(
        "chat_slots",
        id_column(),
        sa.Column("pool_id", sa.BigInteger(), nullable=False),
        sa.Column("gateway_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("draining", sa.Boolean(), nullable=False),
        sa.Column("leaving", sa.Boolean(), nullable=False),
        sa.Column("missing_since", TIME, nullable=True),
        born_column(),
        sa.Column("removed_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["gateway_id"],
            ["gateways.id"],
            name=op.f("fk_chat_slots_gateway_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["pool_id"],
            ["chat_pools.id"],
            name=op.f("fk_chat_slots_pool_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chat_slots")),
    )
    op.create_index(
        "ix_chat_slots_pool_id",
        "chat_slots",
        ["pool_id"],
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_index(
        "uq_chat_slots_name",
        "chat_slots",
        ["gateway_id", sa.text("lower(name)")],
        unique=True,
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_table(
        "chat_seatings",
        id_column(),
        sa.Column("slot_id", sa.BigInteger(), nullable=False),
        sa.Column("chat_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("taken_at", TIME, nullable=False),
        sa.Column("released_at", TIME, nullable=True),
        sa.Column("reset_request_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["slot_id"],
            ["chat_slots.id"],
            name=op.f("fk_chat_seatings_slot_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chat_seatings")),
    )
    op.create_index("ix_chat_seatings_released_at", "chat_seatings", ["released_at"])
    op.create_index(
        "uq_chat_seatings_slot",
        "chat_seatings",
        ["slot_id"],
        unique=True,
        postgresql_where=sa.text("released_at IS NULL"),
    )
    op.create_table(
        "chat_sessions",
        id_column(),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("agent_id", sa.BigInteger(), nullable=False),
        sa.Column("topic_id", sa.BigInteger(), nullable=False),
        sa.Column("gateway_id", sa.BigInteger(), nullable=False),
        sa.Column("workspace_agent", sa.String(length=120), nullable=False),
        sa.Column("working_directory", sa.String(length=500), nullable=True),
        sa.Column("titled", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("pool_id", sa.BigInteger(), nullable=True),
        sa.Column("slot_id", sa.BigInteger(), nullable=True),
        sa.Column("former_slot_id", sa.BigInteger(), nullable=True),
        sa.Column("fallback", sa.Boolean(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("waiting_since", TIME, nullable=True),
        sa.Column("seated_at", TIME, nullable=True),
        sa.Column("answered_by", sa.String(length=120), nullable=True),
        sa.Column("fresh_since", TIME, nullable=True),
        sa.Column("reset_request_id", sa.BigInteger(), nullable=True),
        sa.Column("idle_seconds", sa.Integer(), nullable=False),
        sa.Column("last_active_at", TIME, nullable=False),
        born_column(),
        sa.Column("archived_at", TIME, nullable=True),
        sa.Column("deleted_at", TIME, nullable=True),
        sa.CheckConstraint(
            "slot_id IS NULL OR (state IN ('active', 'idle') AND NOT fallback)",
            name=op.f("ck_chat_sessions_only_the_living_sit"),
        ),
        sa.CheckConstraint(
            "(state = 'waiting') = (number IS NOT NULL)",
            name=op.f("ck_chat_sessions_who_waits_has_a_number"),
        ),
        sa.CheckConstraint("idle_seconds > 0", name=op.f("ck_chat_sessions_idle_seconds")),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name=op.f("fk_chat_sessions_agent_id")),
        sa.ForeignKeyConstraint(["gateway_id"], ["gateways.id"], name=op.f("fk_chat_sessions_gateway_id")),
        sa.ForeignKeyConstraint(
            ["pool_id"],
            ["chat_pools.id"],
            name=op.f("fk_chat_sessions_pool_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(["slot_id"], ["chat_slots.id"], name=op.f("fk_chat_sessions_slot_id")),
        sa.ForeignKeyConstraint(
            ["topic_id"],
            ["topics.id"],
            name=op.f("fk_chat_sessions_topic_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_chat_sessions_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chat_sessions")),
        sa.UniqueConstraint("topic_id", name=op.f("uq_chat_sessions_topic_id")),
    )
    op.create_index(op.f("ix_chat_sessions_agent_id"), "chat_sessions", ["agent_id"])
    op.create_index(op.f("ix_chat_sessions_gateway_id"), "chat_sessions", ["gateway_id"])
    op.create_index("ix_chat_sessions_user_id", "chat_sessions", ["user_id", "id"])
    op.create_index(
        "ix_chat_sessions_line",
        "chat_sessions",
        ["pool_id", "number"],
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "ix_chat_sessions_live",
        "chat_sessions",
        ["last_active_at"],
        postgresql_where=sa.text("state IN ('active', 'idle')"),
    )
    op.create_index(
        "uq_chat_sessions_slot",
        "chat_sessions",
        ["slot_id"],
        unique=True,
        postgresql_where=sa.text("slot_id IS NOT NULL"),
    )
    op.add_column("topics", sa.Column("chat_id", sa.BigInteger(), nullable=True))
