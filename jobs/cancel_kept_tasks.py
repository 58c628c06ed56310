"""What was kept for an agent that stayed away too long is cancelled."""

from datetime import datetime

from models.agent import Agent
from models.database import repeated, transaction
from models.holds_work import agents_kept_too_long


def cancel_kept_tasks(now: datetime) -> int:
    """Cancels what is kept past its time, one agent a transaction; says how many tasks."""
    with transaction() as session:
        agents = agents_kept_too_long(session, now)
    return sum(_cancel(id, now) for id in agents)


@repeated
def _cancel(agent_id: int, now: datetime) -> int:
    with transaction() as session:
        return sum(agent.cancel_kept(session, now) for agent in Agent.locked(session, agent_id))
