"""Words of messages to be found by; lines of activity when an agent comes and goes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0006"
down_revision = "0005"

WORDS = "to_tsvector('simple'::regconfig, \"left\"(text, 100000))"

# Said only when `routable` flips, by all who flip it: so it is written here, once.
NOTE = """
CREATE FUNCTION note_presence(p_agent bigint, p_back boolean) RETURNS void LANGUAGE sql AS $$
    INSERT INTO activity (kind, event, text, actor, agent_id)
    SELECT 'presence', CASE WHEN p_back THEN 'back' ELSE 'away' END,
           handle || CASE WHEN p_back THEN ' is connected.' ELSE ' is not connected any more.' END, 'hub', id
    FROM agents WHERE id = p_agent
$$
"""
BACK = "PERFORM say_presence(p_agent);"
AWAY = "PERFORM say_presence(found_agent);"


def upgrade() -> None:
    """Adds a column that the database keeps by itself, its index, and a call to two functions."""
    op.add_column("messages", sa.Column("words", TSVECTOR(), sa.Computed(WORDS, persisted=True), nullable=True))
    op.create_index("ix_messages_words", "messages", ["words"], postgresql_using="gin")
    op.execute(sa.text(NOTE))
    for name, said, noted in (
        ("subscribe_agent", BACK, f"{BACK} PERFORM note_presence(p_agent, true);"),
        ("unsubscribe_agent", AWAY, f"{AWAY} PERFORM note_presence(found_agent, false);"),
    ):
        source = op.get_bind().exec_driver_sql(
            "SELECT pg_get_functiondef(p.oid) FROM pg_proc p WHERE p.proname = %s", (name,)
        )
        op.get_bind().exec_driver_sql(source.scalar_one().replace(said, noted).replace("%", "%%"))
