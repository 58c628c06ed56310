"""Plugins as their owner sees them: each session that ever registered, whether it is here, and what went to and fro."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, Select, and_, func, literal, select, true, tuple_
from sqlalchemy.orm import Session

from models.agent import Agent
from models.agent_session import AgentSession
from models.agent_subscription import AgentSubscription
from models.errors import NotFound
from models.message import Message, Source
from models.permission_request import PermissionRequest
from models.process import Process
from models.task import Task
from models.task_event import TaskEvent
from models.topic import Topic
from models.user import Role, User

MOST_FRAMES = 20


class Frame(NamedTuple):
    """One thing that went over the wire, without its words: from or to the plugin, its kind, its ids."""

    at: datetime
    outgoing: bool
    kind: str
    ids: str


def sessions(user: User, now: datetime, before: tuple[bool, int] | None = None) -> Select[*tuple[Any, ...]]:
    """Sessions with their agents, the connected ones first: an operator's eyes see all, others' their own.

    `before`: only those that come after one, of which is said whether it is live, and its id.
    live, dropped_at, last_seen_at, connected_at, host and pid are of the newest connection, null when there is none.
    """
    here = (
        select(
            AgentSubscription.live(now).label("live"),
            AgentSubscription.dropped_at,
            AgentSubscription.last_seen_at,
            AgentSubscription.created_at.label("connected_at"),
            AgentSubscription.process_id,
        )
        .where(
            AgentSubscription.agent_id == AgentSession.agent_id,
            AgentSubscription.session_id == AgentSession.session_id,
        )
        .order_by(AgentSubscription.id.desc())
        .limit(1)
        .lateral("here")
    )
    shown = (AgentSession.id, AgentSession.agent_id, AgentSession.session_id, AgentSession.label, AgentSession.program)
    more = (AgentSession.registrations, Agent.handle, Agent.owner_id, User.name.label("owner_name"))
    query = (
        select(*shown, *more, here, Process.host, Process.pid)
        .join(Agent, Agent.id == AgentSession.agent_id)
        .join(User, User.id == Agent.owner_id)
        .outerjoin(here, true())
        .outerjoin(Process, Process.id == here.c.process_id)
        .where(Agent.removed_at.is_(None))
        .order_by(func.coalesce(here.c.live, False).desc(), AgentSession.id.desc())
    )
    if before is not None:
        query = query.where(tuple_(func.coalesce(here.c.live, False), AgentSession.id) < tuple_(*map(literal, before)))
    return query if user.is_at_least(Role.OPERATOR) else query.where(Agent.owner_id == user.id)


def session_of(session: Session, user: User, id: int, now: datetime) -> Row[Any]:
    """One of them. Raises NotFound."""
    found = session.execute(sessions(user, now).where(AgentSession.id == id)).first()
    if found is None:
        raise NotFound("There is no such plugin session, or it is not yours.")
    return found


def topic_of(session: Session, row: Row[Any]) -> Topic | None:
    """The session's own topic."""
    mine = and_(Topic.session_agent_id == row.agent_id, Topic.session_id == row.session_id)
    return session.scalars(select(Topic).where(mine).order_by(Topic.id.desc())).first()


def frames(session: Session, row: Row[Any]) -> list[Frame]:
    """The last things that went to this session and came from its agent, the newest first; read from the rows."""
    found = [*_dispatches(session, row), *_answers(session, row), *_decisions(session, row)]
    return sorted(found, key=lambda frame: frame.at, reverse=True)[:MOST_FRAMES]


def _dispatches(session: Session, row: Row[Any]) -> list[Frame]:
    mine = (Task.agent_id == row.agent_id, Task.sent_session_id == row.session_id, TaskEvent.event == "sent")
    query = select(TaskEvent.at, Task.id, Task.topic_id).join(Task, Task.id == TaskEvent.task_id).where(*mine)
    rows = session.execute(query.order_by(TaskEvent.id.desc()).limit(MOST_FRAMES))
    return [Frame(one.at, True, "dispatch", f"task {one.id}, topic {one.topic_id}") for one in rows]


def _answers(session: Session, row: Row[Any]) -> list[Frame]:
    kinds = {Source.REPLY: "reply", Source.NOTICE: "notify", Source.PROMPT: "notify"}
    spoken = (Message.agent_id == row.agent_id, Message.source.in_(list(kinds)))
    query = select(Message.created_at, Message.id, Message.source, Message.task_id).where(*spoken)
    rows: Sequence[Any] = session.execute(query.order_by(Message.id.desc()).limit(MOST_FRAMES)).all()
    return [
        Frame(
            one.created_at,
            False,
            kinds[one.source],
            f"message {one.id}" + (f", task {one.task_id}" if one.task_id else ""),
        )
        for one in rows
    ]


def _decisions(session: Session, row: Row[Any]) -> list[Frame]:
    decided = (PermissionRequest.agent_id == row.agent_id, PermissionRequest.decided_at.is_not(None))
    query = select(PermissionRequest.decided_at, PermissionRequest.id, PermissionRequest.request_id).where(*decided)
    rows = session.execute(query.order_by(PermissionRequest.id.desc()).limit(MOST_FRAMES))
    return [Frame(one.decided_at, True, "permission_decision", f"approval {one.id}") for one in rows]
