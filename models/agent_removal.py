"""An agent is removed: what is lost is said first, then it is done.

Its open work is cancelled and says by whom, what it asked waits for nobody any more; what it said stays. Topics stay,
and ask for another agent.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, delete, func, or_, select
from sqlalchemy.orm import Session

from models import chatting
from models.access_token import AccessToken
from models.agent import Agent
from models.agent_subscription import AgentSubscription
from models.broadcast import broadcast
from models.chat_session import ChatSession, ChatState
from models.permission_request import ApprovalStatus, PermissionRequest
from models.task import Task, TaskStatus
from models.topic import Topic
from models.user import User

WHY = "{by} removed {agent}."


class Loss(NamedTuple):
    """What ends, or is left without its agent, when an agent is removed: how many of each.

    tokens   access tokens of its owner that plugins use: they stay, and a plugin that registers brings it back
    """

    sessions: int
    open_tasks: int
    approvals: int
    topics: int
    chats: int
    tokens: int


def loss(session: Session, agent: Agent) -> Loss:
    """What would be lost if it were removed now."""
    sessions = select(func.count()).where(AgentSubscription.agent_id == agent.id)
    tasks = select(func.count()).where(Task.agent_id == agent.id, Task.finished_at.is_(None))
    loses = (Topic.primary_agent_id == agent.id, Topic.archived_at.is_(None), Topic.chat_id.is_(None))
    topics = select(func.count()).where(*loses)
    chats = select(func.count()).where(ChatSession.agent_id == agent.id, ChatSession.state != ChatState.DELETED)
    plugin = (AccessToken.user_id == agent.owner_id, AccessToken.plugin_at.is_not(None))
    valid = or_(AccessToken.expires_at.is_(None), AccessToken.expires_at > func.now())
    tokens = select(func.count()).where(*plugin, AccessToken.revoked_at.is_(None), valid)
    counts = (sessions, tasks, open_approvals([agent.id]), topics, chats, tokens)
    return Loss(*(session.scalar(count) or 0 for count in counts))


def remove(session: Session, id: int, by: User, now: datetime) -> None:
    """Removes it, its sessions and its open work. Locks topics, agents, tasks, then what it asked.

    What waited behind the tasks is advanced after the commit.
    """
    agent = session.get_one(Agent, id)
    cancel_work(session, [id], WHY.format(by=by.name, agent=agent.handle), now, ChatSession.agent_id == id)
    agent.removed_at = agent.away_since = now
    session.execute(delete(AgentSubscription).where(AgentSubscription.agent_id == id))
    close_approvals(session, [id])
    broadcast(session, session.get_one(User, agent.owner_id).stream, "rights")  # its plugin hears nothing any more
    broadcast(session, "hub", "agents", agent=id)
    session.flush()


def cancel_work(
    session: Session, agent_ids: Sequence[int], why: str, now: datetime, chats: ColumnElement[bool] | None = None
) -> None:
    """Cancels the open tasks of these agents, and lets go on what waits behind them; leaves the agents locked.

    `chats`: which chats rest with it, so that their seats go to whoever is next.
    """
    resting = [] if chats is None else chatting.living(session, chats)
    given = (Task.agent_id.in_(agent_ids), Task.finished_at.is_(None))
    open_ = session.execute(select(Task.id, Task.topic_id).where(*given)).all()
    topic_ids = sorted({row.topic_id for row in (*open_, *resting)})
    session.execute(select(Topic.id).where(Topic.id.in_(topic_ids)).order_by(Topic.id).with_for_update(key_share=True))
    waiting = select(Task.agent_id).where(Task.topic_id.in_(topic_ids), Task.finished_at.is_(None))
    Agent.locked(session, *agent_ids, also=waiting)
    chatting.stop(session, resting, why, "hub", now)
    for task in Task.locked(session, [row.id for row in open_]):
        if task.is_open:
            task.finish(session, TaskStatus.CANCELLED, why, now, "hub")
    Task.mark_due(session, now, topic_ids=topic_ids)


def close_approvals(session: Session, agent_ids: Sequence[int]) -> None:
    """What these agents asked waits for nobody any more."""
    waits = (PermissionRequest.agent_id.in_(agent_ids), PermissionRequest.status == ApprovalStatus.PENDING)
    query = select(PermissionRequest).where(*waits).order_by(PermissionRequest.id).with_for_update(key_share=True)
    for request in session.scalars(query):
        request.status = ApprovalStatus.ELSEWHERE
        request.say_changed(session)


def open_approvals(agent_ids: Sequence[int]) -> Select[int]:
    """How much of what these agents asked waits for a decision, as a query."""
    waits = (PermissionRequest.agent_id.in_(agent_ids), PermissionRequest.status == ApprovalStatus.PENDING)
    return select(func.count()).where(*waits)
