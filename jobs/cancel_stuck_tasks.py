"""Delegated and forgotten: the last net. What lost its session gets a full grace window; nothing is cancelled here."""

from datetime import datetime

from models import stuck
from models.agent import Agent
from models.database import repeated, transaction


def cancel_stuck_tasks(now: datetime) -> int:
    """Puts stuck work on its way again, one agent a transaction; says how many tasks."""
    with transaction() as session:
        agents = stuck.agents_to_look_after(session, now)
    return sum(_look_after(id, now) for id in agents)


@repeated
def _look_after(agent_id: int, now: datetime) -> int:
    with transaction() as session:
        return sum(stuck.look_after(session, agent, now) for agent in Agent.locked(session, agent_id))
