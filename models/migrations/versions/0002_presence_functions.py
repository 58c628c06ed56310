"""Subscribe and unsubscribe as one round trip each, under the agent's row lock."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# Several statements after the lock, so that each sees what was committed while it waited: a single statement with
# common table expressions has a snapshot older than its lock, and is wrong whenever it races.
# What `models.broadcast` would say when `routable` flips, without a round trip of its own.
SAY = """
CREATE OR REPLACE FUNCTION say_presence(p_agent bigint) RETURNS void LANGUAGE sql AS $$
    SELECT pg_notify('switchyard', '{"s":"' || stream || '","e":"presence","i":{"agent":' || p_agent || '}}')
    FROM (VALUES ('agent:' || p_agent), ('hub')) AS told(stream)
$$
"""

SUBSCRIBE = """
CREATE OR REPLACE FUNCTION subscribe_agent(
    p_agent bigint, p_session text, p_token text, p_process integer, p_stale double precision, p_unless_work boolean,
    OUT was_away boolean, OUT has_work boolean, OUT at timestamptz
) LANGUAGE plpgsql AS $$
DECLARE
    registered integer := 0;
BEGIN
    PERFORM 1 FROM agents WHERE id = p_agent FOR NO KEY UPDATE;
    at := now();
    has_work := EXISTS (SELECT 1 FROM tasks WHERE agent_id = p_agent AND finished_at IS NULL);
    IF has_work AND p_unless_work THEN
        RETURN;
    END IF;
    UPDATE agent_subscriptions SET dropped_at = clock_timestamp()
        WHERE agent_id = p_agent AND dropped_at IS NULL
          AND last_seen_at <= clock_timestamp() - make_interval(secs => p_stale);
    was_away := NOT EXISTS (SELECT 1 FROM agent_subscriptions WHERE agent_id = p_agent AND dropped_at IS NULL);
    IF p_session IS NOT NULL THEN
        DELETE FROM agent_subscriptions WHERE agent_id = p_agent AND session_id = p_session;
        SELECT registrations INTO registered FROM agent_sessions WHERE agent_id = p_agent AND session_id = p_session;
    END IF;
    INSERT INTO agent_subscriptions (agent_id, token, session_id, registration, process_id, last_seen_at)
        VALUES (p_agent, p_token, p_session, coalesce(registered, 0), p_process, clock_timestamp());
    IF was_away THEN
        PERFORM say_presence(p_agent);
    END IF;
END $$
"""

UNSUBSCRIBE = """
CREATE OR REPLACE FUNCTION unsubscribe_agent(
    p_token text, p_stale double precision, OUT agent_id bigint, OUT still_routable boolean
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    found_agent bigint;
BEGIN
    SELECT s.agent_id INTO found_agent FROM agent_subscriptions s WHERE s.token = p_token;
    IF found_agent IS NULL THEN
        RETURN;
    END IF;
    PERFORM 1 FROM agents WHERE id = found_agent FOR NO KEY UPDATE;
    UPDATE agent_subscriptions SET dropped_at = clock_timestamp() WHERE token = p_token AND dropped_at IS NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE agent_subscriptions SET dropped_at = clock_timestamp()
        WHERE agent_id = found_agent AND dropped_at IS NULL
          AND last_seen_at <= clock_timestamp() - make_interval(secs => p_stale);
    agent_id := found_agent;
    still_routable := EXISTS (
        SELECT 1 FROM agent_subscriptions s WHERE s.agent_id = found_agent AND s.dropped_at IS NULL
    );
    IF NOT still_routable THEN
        UPDATE agents SET away_since = clock_timestamp() WHERE id = found_agent;
        PERFORM say_presence(found_agent);
    END IF;
END $$
"""


def upgrade() -> None:
    """Creates the functions."""
    op.execute(sa.text(SAY.replace(":", "\\:")))
    op.execute(sa.text(SUBSCRIBE.replace(":=", "\\:=")))
    op.execute(sa.text(UNSUBSCRIBE.replace(":=", "\\:=")))
