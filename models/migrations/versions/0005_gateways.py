"""Gateways, what is asked of them, what they said and which run became what; the log of activity."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"

JSON = JSONB(none_as_null=True)
TIME = sa.DateTime(timezone=True)

# Lines of activity stay as they were written, whoever asks.
APPEND_ONLY = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'activity is append-only';
END $$;
CREATE TRIGGER activity_append_only BEFORE UPDATE OR DELETE ON activity FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""


def id_column() -> sa.Column:
    return sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False)


def born_column() -> sa.Column:
    return sa.Column("created_at", TIME, server_default=sa.text("now()"), nullable=False)


def upgrade() -> None:
    """Tables that are new; columns that are null or false for all that is there."""
    op.create_table(
        "activity",
        id_column(),
        sa.Column("at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("event", sa.String(length=48), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("actor", sa.String(length=120), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.Column("agent_id", sa.BigInteger(), nullable=True),
        sa.Column("gateway_id", sa.BigInteger(), nullable=True),
        sa.Column("topic_id", sa.BigInteger(), nullable=True),
        sa.Column("task_id", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=True),
        sa.Column("connection", sa.String(length=16), nullable=True),
        sa.Column("affected", JSON, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_activity")),
    )
    op.create_index(
        "ix_activity_gateway_id", "activity", ["gateway_id", "id"], postgresql_where=sa.text("gateway_id IS NOT NULL")
    )
    op.create_index("ix_activity_kind", "activity", ["kind", "id"])
    op.create_index(
        "ix_activity_user_id", "activity", ["user_id", "id"], postgresql_where=sa.text("user_id IS NOT NULL")
    )
    op.create_table(
        "gateway_requests",
        id_column(),
        sa.Column("gateway_id", sa.BigInteger(), nullable=True),
        sa.Column("verb", sa.String(length=32), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=True),
        sa.Column("asked_by", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        born_column(),
        sa.Column("deadline", TIME, nullable=False),
        sa.Column("claimed_by", sa.BigInteger(), nullable=True),
        sa.Column("claimed_at", TIME, nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("answer", JSON, nullable=True),
        sa.Column("refusal_code", sa.String(length=32), nullable=True),
        sa.Column("refusal_text", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway_requests")),
    )
    op.create_index(
        "ix_gateway_requests_open",
        "gateway_requests",
        ["gateway_id", "id"],
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_table(
        "gateways",
        id_column(),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("url", sa.String(length=500), nullable=False),
        sa.Column("address", sa.String(length=500), nullable=False),
        sa.Column("dialect", sa.String(length=16), server_default="openclaw", nullable=False),
        sa.Column("token", sa.Text(), nullable=True),
        sa.Column("token_set_at", TIME, nullable=True),
        sa.Column("device_key", sa.Text(), nullable=True),
        sa.Column("device_token", sa.Text(), nullable=True),
        sa.Column("device_scopes", JSON, nullable=True),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.Column("keep", sa.Boolean(), nullable=False),
        sa.Column("draining", sa.Boolean(), nullable=False),
        sa.Column("restart_wanted_at", TIME, nullable=True),
        sa.Column("changed_at", TIME, nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("connection", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("problem_code", sa.String(length=24), nullable=True),
        sa.Column("problem_text", sa.Text(), nullable=True),
        sa.Column("problem_facts", JSON, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", TIME, nullable=True),
        sa.Column("connected_at", TIME, nullable=True),
        sa.Column("state_since", TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("protocol", sa.Integer(), nullable=True),
        sa.Column("version", sa.String(length=64), nullable=True),
        sa.Column("boot_id", sa.String(length=80), nullable=True),
        sa.Column("scopes", JSON, nullable=True),
        sa.Column("missing_scopes", JSON, nullable=True),
        sa.Column("latency_ms", sa.Float(), nullable=True),
        sa.Column("open_runs", sa.Integer(), nullable=False),
        sa.Column("buffered_bytes", sa.BigInteger(), nullable=False),
        sa.Column("listed_agents", JSON, nullable=True),
        sa.Column("listed_at", TIME, nullable=True),
        sa.Column("held_by", sa.BigInteger(), nullable=True),
        sa.Column("hold_epoch", sa.BigInteger(), nullable=False),
        sa.Column("held_until", TIME, nullable=True),
        sa.Column("managed", sa.Boolean(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=True),
        sa.Column("command", JSON, nullable=True),
        sa.Column("env", sa.Text(), nullable=True),
        sa.Column("pid", sa.Integer(), nullable=True),
        sa.Column("pid_started", sa.Float(), nullable=True),
        sa.Column("pid_host", sa.String(length=255), nullable=True),
        sa.Column("adopted", sa.Boolean(), nullable=False),
        sa.Column("process_started_at", TIME, nullable=True),
        sa.Column("last_exit", JSON, nullable=True),
        sa.Column("port_holder", JSON, nullable=True),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        born_column(),
        sa.Column("removed_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateways")),
    )
    op.create_index("ix_gateways_address", "gateways", ["address"])
    op.create_index("ix_gateways_wanted", "gateways", ["id"], postgresql_where=sa.text("wanted AND removed_at IS NULL"))
    op.create_index(
        "uq_gateways_name",
        "gateways",
        [sa.text("lower(name)")],
        unique=True,
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_table(
        "hub_identity",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=8), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hub_identity")),
    )
    op.create_table(
        "processed_runs",
        sa.Column("gateway_id", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.String(length=200), nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=True),
        sa.Column("message_id", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=True),
        sa.Column("at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("gateway_id", "run_id", name=op.f("pk_processed_runs")),
    )
    op.create_table(
        "running_answers",
        sa.Column("gateway_id", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.String(length=200), nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=True),
        sa.Column("topic_id", sa.BigInteger(), nullable=True),
        sa.Column("agent_id", sa.BigInteger(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("tools", JSON, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("started_at", TIME, server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("gateway_id", "run_id", name=op.f("pk_running_answers")),
        prefixes=["UNLOGGED"],
    )
    op.create_index(op.f("ix_running_answers_task_id"), "running_answers", ["task_id"])
    op.create_index(op.f("ix_running_answers_topic_id"), "running_answers", ["topic_id"])
    op.create_table(
        "tray_items",
        id_column(),
        sa.Column("gateway_id", sa.BigInteger(), nullable=False),
        sa.Column("session_key", sa.Text(), nullable=False),
        sa.Column("run_id", sa.String(length=200), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        born_column(),
        sa.Column("topic_id", sa.BigInteger(), nullable=True),
        sa.Column("message_id", sa.BigInteger(), nullable=True),
        sa.Column("ended_by", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["gateway_id"], ["gateways.id"], name=op.f("fk_tray_items_gateway_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tray_items")),
    )
    op.create_index(op.f("ix_tray_items_gateway_id"), "tray_items", ["gateway_id"])
    op.create_index("ix_tray_items_open", "tray_items", ["id"], postgresql_where=sa.text("ended_at IS NULL"))
    op.create_table(
        "tray_routes",
        id_column(),
        sa.Column("gateway_id", sa.BigInteger(), nullable=False),
        sa.Column("session_key", sa.String(length=512), nullable=False),
        sa.Column("topic_id", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.BigInteger(), nullable=False),
        born_column(),
        sa.ForeignKeyConstraint(
            ["gateway_id"], ["gateways.id"], name=op.f("fk_tray_routes_gateway_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["topic_id"], ["topics.id"], name=op.f("fk_tray_routes_topic_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tray_routes")),
        sa.UniqueConstraint("gateway_id", "session_key", name="uq_tray_routes_gateway_id_session_key"),
    )
    op.add_column("agents", sa.Column("own_token", sa.Text(), nullable=True))
    op.add_column("agents", sa.Column("key_differs", sa.Boolean(), server_default="false", nullable=False))
    op.create_index(op.f("ix_agents_gateway_id"), "agents", ["gateway_id"])
    op.create_foreign_key(op.f("fk_agents_gateway_id"), "agents", "gateways", ["gateway_id"], ["id"])
    op.add_column("messages", sa.Column("origin", sa.String(length=16), nullable=True))
    op.add_column("messages", sa.Column("cut", sa.Text(), nullable=True))
    op.alter_column(
        "messages", "run_id", existing_type=sa.VARCHAR(length=64), type_=sa.String(length=200), existing_nullable=True
    )
    op.add_column("permission_requests", sa.Column("choices", JSON, nullable=True))
    op.add_column("permission_requests", sa.Column("told", sa.Text(), nullable=True))
    op.add_column("tasks", sa.Column("gateway_agent_id", sa.String(length=200), nullable=True))
    op.add_column("tasks", sa.Column("session_key", sa.String(length=512), nullable=True))
    op.add_column("tasks", sa.Column("claimed_epoch", sa.BigInteger(), nullable=True))
    op.add_column("tasks", sa.Column("claimed_at", TIME, nullable=True))
    op.add_column("tasks", sa.Column("tools", JSON, nullable=True))
    op.alter_column(
        "tasks", "run_id", existing_type=sa.VARCHAR(length=64), type_=sa.String(length=200), existing_nullable=True
    )
    op.create_index(
        "ix_tasks_run_id", "tasks", ["gateway_id", "run_id"], postgresql_where=sa.text("run_id IS NOT NULL")
    )
    op.execute("INSERT INTO hub_identity VALUES (1, left(md5(random()::text || clock_timestamp()::text), 8))")
    op.execute(APPEND_ONLY)
