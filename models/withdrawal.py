"""A person may no longer write somewhere: what their agents were given to do there ends at once.

An answer would be refused, so the topic would wait for it for ever; and what still waits must not be handed out.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from models.agent import Agent
from models.task import Task, TaskStatus
from models.topic import Topic

WHY = "The owner of {agent} may no longer write here."


def end_work(session: Session, owner_id: int, now: datetime) -> int:
    """Cancels the open tasks of this person's agents wherever these may no longer work; says how many.

    To be called once the right is gone, in the same transaction. Locks topics, agents, tasks; what waited behind them
    is advanced after the commit.
    """
    lost = _lost(session, owner_id)
    topic_ids = sorted({row.topic_id for row in lost})
    session.execute(select(Topic.id).where(Topic.id.in_(topic_ids)).order_by(Topic.id).with_for_update())
    open_here = select(Task.agent_id).where(Task.topic_id.in_(topic_ids), Task.finished_at.is_(None))
    Agent.locked(session, *session.scalars(open_here.distinct()))
    handles = {row.agent_id: row.handle for row in lost}
    ended = 0
    for task in Task.locked(session, [row.id for row in lost]):
        if task.is_open:
            task.finish(session, TaskStatus.CANCELLED, WHY.format(agent=handles[task.agent_id]), now, "hub")
            ended += 1
    Task.mark_due(session, now, topic_ids=topic_ids)
    for agent_id in sorted(handles):
        Task.mark_due(session, now, agent_id=agent_id)
    return ended


def _lost(session: Session, owner_id: int) -> Sequence[Row[*tuple[Any, ...]]]:
    """Open tasks of the person's agents in topics where these may not work: topic, agent, its handle, task."""
    given = (
        select(Task.id, Task.topic_id, Task.agent_id, Agent.handle, Topic.creative_id)
        .join(Agent, Agent.id == Task.agent_id)
        .join(Topic, Topic.id == Task.topic_id)
        .where(Agent.owner_id == owner_id, Task.finished_at.is_(None))
    )
    found = session.execute(given).all()
    usable = {
        (creative_id, agent.id)
        for creative_id in {row.creative_id for row in found}
        for agent in session.scalars(Agent.usable_in(creative_id).where(Agent.owner_id == owner_id))
    }
    return [row for row in found if (row.creative_id, row.agent_id) not in usable]
