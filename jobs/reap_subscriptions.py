"""Presence rows whose socket went silent become dropped, and walk the same stairs as those that said goodbye."""

from datetime import datetime

from models.agent import Agent
from models.agent_subscription import AgentSubscription
from models.database import repeated, transaction


def reap_subscriptions(now: datetime) -> int:
    """Drops silent rows, one agent a transaction; says how many rows."""
    with transaction() as session:
        agents = AgentSubscription.agents_with_stale(session, now)
    return sum(_reap(id, now) for id in agents)


@repeated
def _reap(agent_id: int, now: datetime) -> int:
    with transaction() as session:
        return sum(len(agent.reap(session, now)) for agent in Agent.locked(session, agent_id))
