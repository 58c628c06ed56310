"""The end of grace windows: what an absent agent still holds is let go."""

from datetime import datetime

from models.agent import Agent
from models.agent_subscription import AgentSubscription
from models.database import repeated, transaction


def end_grace_windows(now: datetime) -> int:
    """Ends the windows that are over, one row a transaction; says how many."""
    with transaction() as session:
        over = AgentSubscription.ended(session, now)
    return sum(_end(id, now) for id in over)


@repeated
def _end(id: int, now: datetime) -> int:
    with transaction() as session:
        row = session.get(AgentSubscription, id)
        if row is None:
            return 0
        [agent] = Agent.locked(session, row.agent_id)
        # Whoever held the lock before us may have taken the row away.
        session.expire(row)
        row = session.get(AgentSubscription, id)
        if row is None or row.dropped_at is None:
            return 0
        agent.end_grace(session, row, now)
        return 1
