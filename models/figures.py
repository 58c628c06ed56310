"""How much there is of what: for metrics and status. One statement each, over open rows only."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.agent_subscription import AgentSubscription
from models.task import OPEN, Task


def open_tasks(session: Session) -> dict[str, int]:
    """Tasks that are not finished, by status; 0 where there are none."""
    counted = session.execute(select(Task.status, func.count()).where(Task.finished_at.is_(None)).group_by(Task.status))
    return {**dict.fromkeys(map(str, OPEN), 0), **{row.status: row[1] for row in counted}}


def presence(session: Session, now: datetime) -> dict[str, int]:
    """Rows of agents' sessions that are live, and those in their grace window."""
    live = func.count().filter(AgentSubscription.live(now))
    dropped = func.count().filter(AgentSubscription.dropped_at.is_not(None))
    found = session.execute(select(live, dropped).select_from(AgentSubscription)).one()
    return {"live": found[0], "dropped": found[1]}
