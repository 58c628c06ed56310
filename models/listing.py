"""What programs list, as plain rows, the newest first: one statement a list, however long it is.

`page` cuts a piece out of any of them; the others say whose rows they are and what is shown of each.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, case, func, literal, select
from sqlalchemy.orm import Session, joinedload

from models import behind_gateway
from models.agent import Agent
from models.agent_session import AgentSession
from models.agent_subscription import AgentSubscription
from models.creative import Creative, CreativeShare, Level
from models.gateway import Gateway
from models.message import Message
from models.permission_request import PermissionRequest
from models.prepared import among, prepared, rows
from models.reading import later_in, oldest_first
from models.running_answer import RunningAnswer
from models.task import Task
from models.task_event import TaskEvent
from models.topic import Topic
from models.topic_read import TopicRead
from models.user import User

# Counting stops here.
MOST_UNREAD = 100
MOST_EVENTS = 200


def page(
    session: Session, query: Select[*tuple[Any, ...]], id: ColumnElement[int] | Any, limit: int, after: int | None
) -> tuple[Sequence[Row[*tuple[Any, ...]]], int | None]:
    """The newest `limit` rows, or those behind the one with the id `after`; and the id to ask with for more."""
    if after is not None:
        query = query.where(id < after)
    rows = session.execute(query.order_by(id.desc()).limit(limit + 1)).all()
    return rows[:limit], rows[limit - 1].id if len(rows) > limit else None


def creatives(user: User) -> Select[*tuple[Any, ...]]:
    """The creatives a person may read, with the right held there."""
    mine = (CreativeShare.creative_id == Creative.id) & (CreativeShare.user_id == user.id)
    level = case((Creative.owner_id == user.id, literal(Level.ADMIN.value)), else_=CreativeShare.level)
    return (
        select(
            Creative.id,
            Creative.name,
            Creative.owner_id,
            Creative.is_inbox.label("inbox"),
            level.label("level"),
            Creative.created_at,
        )
        .outerjoin(CreativeShare, mine)
        .where(Creative.id.in_(Creative.readable_by(user.id)))
    )


def shares(creative_id: int) -> Select[*tuple[Any, ...]]:
    """Who has which right on a creative, by name; its owner is not among them."""
    return (
        select(
            CreativeShare.id,
            CreativeShare.creative_id,
            CreativeShare.user_id,
            CreativeShare.agent_id,
            func.coalesce(User.name, Agent.name).label("name"),
            CreativeShare.level,
            CreativeShare.created_at,
        )
        .outerjoin(User, User.id == CreativeShare.user_id)
        .outerjoin(Agent, Agent.id == CreativeShare.agent_id)
        .where(CreativeShare.creative_id == creative_id)
    )


def topics(user: User) -> Select[*tuple[Any, ...]]:
    """The topics a person may read, with how much in them is new to that person (100 at most)."""
    mine = (TopicRead.topic_id == Topic.id) & (TopicRead.user_id == user.id)
    seen = func.coalesce(TopicRead.message_id, 0)
    newer = select(Message.id).where(later_in(Message, Topic.id, seen)).order_by(*oldest_first(Message))
    some = newer.limit(MOST_UNREAD).correlate(Topic, TopicRead).subquery()
    counted = select(func.count()).select_from(some).scalar_subquery()
    unread = case((Topic.last_message_id > seen, counted), else_=0)
    shown = (
        Topic.id,
        Topic.name,
        Topic.creative_id,
        Topic.primary_agent_id,
        Topic.session_id,
        Topic.archived_at.is_not(None).label("archived"),
        unread.label("unread"),
        Topic.last_message_id,
        Topic.created_at,
    )
    readable = Topic.creative_id.in_(Creative.readable_by(user.id))
    return select(*shown).select_from(Topic).outerjoin(TopicRead, mine).where(readable)


def tasks(user: User) -> Select[*tuple[Any, ...]]:
    """The tasks of topics that a person may read."""
    readable = Topic.creative_id.in_(Creative.readable_by(user.id))
    so_far = select(RunningAnswer.text).where(RunningAnswer.task_id == Task.id).limit(1).scalar_subquery()
    shown = (
        Task.id,
        Task.topic_id,
        Task.message_id,
        Task.agent_id,
        Task.parent_id,
        Task.status,
        Task.why,
        Task.until,
        Task.run_id,
        Task.gateway_id,
        func.coalesce(so_far, Task.partial).label("partial"),
        Task.reply_message_id,
        Task.created_at,
        Task.finished_at,
    )
    return select(*shown).join(Topic, Topic.id == Task.topic_id).where(readable)


def approvals(user: User) -> Select[*tuple[Any, ...]]:
    """What a person may decide, or could have decided, with who did: rows of the request and its id."""
    mine = PermissionRequest.inbox_of(user).options(joinedload(PermissionRequest.decided_by))
    return mine.add_columns(PermissionRequest.id)


def timelines(session: Session, task_ids: Sequence[int]) -> dict[int, list[Row[*tuple[Any, ...]]]]:
    """What happened to each of these tasks, oldest first (the newest 200)."""
    place = func.row_number().over(partition_by=TaskEvent.task_id, order_by=TaskEvent.id.desc()).label("place")
    ranked = select(TaskEvent, place).where(TaskEvent.task_id.in_(task_ids)).subquery()
    events = select(ranked).where(ranked.c.place <= MOST_EVENTS).order_by(ranked.c.id)
    found: dict[int, list[Row[*tuple[Any, ...]]]] = {}
    for row in session.execute(events):
        found.setdefault(row.task_id, []).append(row)
    return found


def agents(user: User) -> Select[*tuple[Any, ...]]:
    """The agents a person may see, each with what tells whether its gateway takes work."""
    shown = (
        Agent.id,
        Agent.name,
        Agent.handle,
        Agent.kind,
        Agent.owner_id,
        Agent.routing_expression,
        Agent.keep_seconds,
        Agent.max_tasks,
        Agent.gateway_id,
        Agent.gateway_agent_id,
        Agent.own_token.is_not(None).label("has_own_token"),
        Agent.key_differs,
    )
    behind = Agent.visible_to(user.id).outerjoin(Gateway, Gateway.id == Agent.gateway_id)
    return behind.with_only_columns(*shown, *behind_gateway.columns())


def sessions(session: Session, agent_ids: Sequence[int], now: datetime) -> dict[int, list[Row[*tuple[Any, ...]]]]:
    """The sessions of each of these agents, oldest first, with their labels and whether they are live."""
    found: dict[int, list[Row[*tuple[Any, ...]]]] = {}
    for row in rows(session, *_sessions(agent_ids, now)):
        found.setdefault(row.agent_id, []).append(row)
    return found


@prepared
def _sessions(agent_ids: Sequence[int], now: datetime) -> Select[*tuple[Any, ...]]:
    own = (AgentSession.agent_id == AgentSubscription.agent_id) & (
        AgentSession.session_id == AgentSubscription.session_id
    )
    return (
        select(
            AgentSubscription.agent_id,
            AgentSubscription.session_id,
            AgentSession.label,
            AgentSubscription.live(now).label("is_live"),
            AgentSubscription.last_seen_at,
            AgentSubscription.dropped_at,
        )
        .outerjoin(AgentSession, own)
        .where(among(AgentSubscription.agent_id, agent_ids))
        .order_by(AgentSubscription.id)
    )
