"""Many sessions subscribe, or leave, in one round trip and one transaction."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

# By ascending agent id, each by the function for one, so that they stay one truth. Without `p_wait` nobody is waited
# for: whoever comes behind must not pay for one agent whose row is held. With work nothing is done here either.
SUBSCRIBE = """
CREATE FUNCTION subscribe_agents(
    p_agents bigint[], p_users bigint[], p_sessions text[], p_tokens text[], p_processes integer[],
    p_stale double precision, p_wait boolean
) RETURNS TABLE(agent bigint, token text, outcome text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    one record;
    found_agent record;
BEGIN
    FOR one IN
        SELECT * FROM unnest(p_agents, p_users, p_sessions, p_tokens, p_processes) WITH ORDINALITY
            AS u(agent, person, session, token, process, place) ORDER BY u.agent, u.place
    LOOP
        agent := one.agent;
        token := one.token;
        IF p_wait THEN
            SELECT a.kind, a.vendor, a.model INTO found_agent FROM agents a
                WHERE a.id = one.agent AND a.owner_id = one.person AND a.removed_at IS NULL FOR NO KEY UPDATE;
        ELSE
            SELECT a.kind, a.vendor, a.model INTO found_agent FROM agents a
                WHERE a.id = one.agent AND a.owner_id = one.person AND a.removed_at IS NULL
                FOR NO KEY UPDATE SKIP LOCKED;
        END IF;
        IF NOT FOUND THEN
            outcome := CASE WHEN NOT p_wait AND EXISTS (
                SELECT 1 FROM agents a WHERE a.id = one.agent AND a.owner_id = one.person AND a.removed_at IS NULL
            ) THEN 'busy' ELSE 'refused' END;
        ELSIF (found_agent.kind, found_agent.vendor, found_agent.model) <> ('plugin', 'anthropic', 'claude-code') THEN
            outcome := 'listens';
        ELSE
            SELECT CASE WHEN s.has_work THEN 'work' ELSE 'live' END INTO outcome
                FROM subscribe_agent(one.agent, one.session, one.token, one.process, p_stale, true) s;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$
"""

UNSUBSCRIBE = """
CREATE FUNCTION unsubscribe_agents(p_tokens text[], p_stale double precision)
RETURNS TABLE(busy text) LANGUAGE plpgsql AS $$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT s.token, s.agent_id FROM agent_subscriptions s WHERE s.token = ANY (p_tokens) ORDER BY s.agent_id, s.id
    LOOP
        PERFORM 1 FROM agents WHERE id = one.agent_id FOR NO KEY UPDATE SKIP LOCKED;
        IF FOUND THEN
            PERFORM unsubscribe_agent(one.token, p_stale);
        ELSE
            busy := one.token;
            RETURN NEXT;
        END IF;
    END LOOP;
END $$
"""


def upgrade() -> None:
    """Creates the functions."""
    for source in (SUBSCRIBE, UNSUBSCRIBE):
        op.execute(sa.text(source.replace(":=", "\\:=")))


def downgrade() -> None:
    """Takes them out."""
    op.execute("DROP FUNCTION subscribe_agents")
    op.execute("DROP FUNCTION unsubscribe_agents")
