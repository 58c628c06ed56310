"""What a person sees at a glance, as plain rows: topics with what is new in them, agents with who of them is there.

One statement each, however many rows there are.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, case, exists, func, or_, select, true, tuple_
from sqlalchemy.orm import Session, aliased

from models import behind_gateway
from models.agent import Agent
from models.agent_subscription import AgentSubscription
from models.creative import Creative, CreativeShare, Level
from models.gateway import Gateway
from models.message import Message
from models.prepared import Few, one_of, prepared, rows
from models.reading import later_in, oldest_first, standing
from models.task import Task
from models.task_status import RUNNING, WAITING
from models.topic import Topic
from models.topic_read import TopicRead
from models.user import User

Rows = Sequence[Row[*tuple[Any, ...]]]
# Counting stops here: "99+".
MOST_COUNTED = 100
LAST_WORDS = 160
LAST_HTML = 600


def topics(user_id: int, archived: bool = False) -> Select[*tuple[Any, ...]]:
    """Readable topics that are no chats, the newest activity (`at`) first; `unread` stops at MOST_COUNTED."""
    mine = select(TopicRead.message_id, TopicRead.topic_id).where(TopicRead.user_id == user_id).subquery()
    read = func.coalesce(mine.c.message_id, 0)
    inner = aliased(Message)
    newer = select(inner.id).where(later_in(inner, Topic.id, read)).order_by(*oldest_first(inner)).limit(MOST_COUNTED)
    counted = select(func.count()).select_from(newer.correlate(Topic, mine).subquery()).scalar_subquery()
    unread = case((Topic.last_message_id > read, counted), else_=0)
    put_away = Topic.archived_at.is_not(None) if archived else Topic.archived_at.is_(None)
    return (
        select(Topic.id, Topic.name, Topic.last_message_id, Topic.active_at.label("at"), unread.label("unread"))
        .outerjoin(mine, mine.c.topic_id == Topic.id)
        .where(Topic.creative_id.in_(Creative.readable_by(user_id)), put_away, Topic.chat_id.is_(None))
        .order_by(Topic.active_at.desc(), Topic.id.desc())
    )


def topics_in_full(user_id: int, archived: bool = False, within: int | None = None) -> Select[*tuple[Any, ...]]:
    """`topics` with where each is, its agent, what was said last, and whether an agent works on something there.

    `within`: only those of this creative.
    """
    speaker, spoken = aliased(User), aliased(Agent)
    running = select(Task.id).where(Task.topic_id == Topic.id, one_of(Task.status, RUNNING)).limit(1)
    working = running.scalar_subquery().is_not(None)  # looked up for each row shown: `EXISTS` reads all that run first
    return (
        topics(user_id, archived)
        .where(true() if within is None else Topic.creative_id == within)
        .add_columns(
            Creative.name.label("creative_name"),
            Agent.handle.label("agent_name"),
            func.left(Message.html, LAST_HTML).label("last_html"),
            Topic.primary_agent_id,
            func.coalesce(speaker.name, spoken.handle, "Switchyard").label("last_author"),
            working.label("working"),
        )
        .outerjoin(Message, Message.id == Topic.last_message_id)
        .join(Creative, Creative.id == Topic.creative_id)
        .outerjoin(Agent, Agent.id == Topic.primary_agent_id)
        .outerjoin(speaker, speaker.id == Message.user_id)
        .outerjoin(spoken, spoken.id == Message.agent_id)
    )


def creatives(user_id: int) -> Select[*tuple[Any, ...]]:
    """Creatives the person may read: the owner's name, the person's `level` (None: the owner's), what is in it.

    topics   how many are open in it (MOST_COUNTED at most)
    people   with how many people it is shared
    """
    mine = and_(CreativeShare.creative_id == Creative.id, CreativeShare.user_id == user_id)
    share = aliased(CreativeShare)
    here = (Topic.creative_id == Creative.id, Topic.archived_at.is_(None), Topic.chat_id.is_(None))
    some = select(Topic.id).where(*here).limit(MOST_COUNTED)
    open_ = select(func.count()).select_from(some.correlate(Creative).subquery())
    people = select(func.count()).where(share.creative_id == Creative.id, share.user_id.is_not(None))
    return (
        select(
            Creative.id,
            Creative.name,
            Creative.is_inbox,
            Creative.owner_id,
            User.name.label("owner_name"),
            CreativeShare.level,
            open_.correlate(Creative).scalar_subquery().label("topics"),
            people.correlate(Creative).scalar_subquery().label("people"),
        )
        .join(User, User.id == Creative.owner_id)
        .outerjoin(CreativeShare, mine)
        .where(Creative.id.in_(Creative.readable_by(user_id)))
        .order_by(Creative.is_inbox.desc(), func.lower(Creative.name), Creative.id)
    )


def writable_creatives(user_id: int) -> Select[*tuple[Any, ...]]:
    """Creatives, inboxes left out, in which the person may make topics and write: `id`, `name`."""
    shared = select(CreativeShare.creative_id).where(
        CreativeShare.user_id == user_id, one_of(CreativeShare.level, (Level.FEEDBACK, Level.ADMIN))
    )
    return (
        select(Creative.id, Creative.name)
        .where(~Creative.is_inbox, or_(Creative.owner_id == user_id, Creative.id.in_(shared)))
        .order_by(func.lower(Creative.name), Creative.id)
    )


def agents(now: datetime, which: Select[Any]) -> Select[*tuple[Any, ...]]:
    """Agents among `which` with their owner, sessions and work, by name.

    live, dropped        how many of its sessions are there, or in their grace window
    dropped_at           when the newest of the dropped ones was lost
    working, waiting     how many of its tasks run, or wait (MOST_COUNTED at most)
    working_since        since when the oldest of those that run does
    gateway_...          of its gateway, what tells whether it takes work (`Agent.why_not`); null for a plugin's
    """
    there = AgentSubscription.agent_id == Agent.id
    presence = (
        select(
            func.count().filter(AgentSubscription.live(now)).label("live"),
            func.count().filter(AgentSubscription.dropped_at.is_not(None)).label("dropped"),
            func.max(AgentSubscription.dropped_at).label("dropped_at"),
        )
        .where(there)
        .lateral("presence")
    )
    its_open = (Task.agent_id == Agent.id, Task.finished_at.is_(None))
    work = (
        select(
            func.count().label("working"),
            func.min(func.coalesce(Task.sent_at, Task.created_at)).label("working_since"),
        )
        .where(*its_open, one_of(Task.status, RUNNING))
        .lateral("work")
    )
    # A queue may be as long as it likes: counting it stops.
    some = (
        select(Task.id).where(*its_open, one_of(Task.status, WAITING)).limit(MOST_COUNTED).correlate(Agent).subquery()
    )
    queue = select(func.count().label("waiting")).select_from(some).lateral("queue")
    return (
        select(
            Agent.id,
            Agent.handle,
            Agent.kind,
            Agent.owner_id,
            User.name.label("owner_name"),
            Agent.routing_expression,
            Agent.keep_seconds,
            Agent.max_tasks,
            Agent.away_since,
            Agent.gateway_id,
            Agent.gateway_agent_id,
            Agent.own_token.is_not(None).label("has_own_token"),
            Agent.key_differs,
            *presence.c,
            *work.c,
            *queue.c,
            *behind_gateway.columns(),
        )
        .join(User, User.id == Agent.owner_id)
        .outerjoin(Gateway, Gateway.id == Agent.gateway_id)
        .join(presence, true())
        .join(work, true())
        .join(queue, true())
        .where(Agent.id.in_(which.with_only_columns(Agent.id).order_by(None)))
        .order_by(func.lower(Agent.handle), Agent.id)
    )


def readers(creative_id: int) -> Select[*tuple[Any, ...]]:
    """The people who may read in a creative, with their right there (`level`, None for the owner), the owner first."""
    here = and_(CreativeShare.creative_id == creative_id, CreativeShare.user_id == User.id)
    owns = exists().where(Creative.id == creative_id, Creative.owner_id == User.id)
    return (
        select(User.id, User.name, User.email, CreativeShare.level, CreativeShare.id.label("share_id"))
        .outerjoin(CreativeShare, here)
        .where(User.removed_at.is_(None), or_(owns, CreativeShare.id.is_not(None)))
        .order_by(CreativeShare.id.is_not(None), User.name, User.id)
    )


def tasks(user_id: int) -> Select[*tuple[Any, ...]]:
    """Tasks of topics the person may read, newest first, with topic, agent, who asked, and `standing`."""
    return (
        select(
            Task.id,
            Task.topic_id,
            Topic.name.label("topic_name"),
            Task.agent_id,
            Agent.handle.label("agent_short"),
            Task.status,
            Task.why,
            Task.created_at,
            Task.sent_at,
            Task.finished_at,
            Task.message_id,
            Task.reply_message_id,
            func.left(Task.content, LAST_WORDS).label("words"),
            Message.user_id.label("asked_by"),
            User.name.label("asker"),
            *standing(),
        )
        .join(Topic, Topic.id == Task.topic_id)
        .join(Agent, Agent.id == Task.agent_id)
        .outerjoin(Message, Message.id == Task.message_id)
        .outerjoin(User, User.id == Message.user_id)
        .where(Topic.creative_id.in_(Creative.readable_by(user_id)))
        .order_by(Task.id.desc())
    )


# -- as pages ask for them -------------------------------------------------------------------------------------------


def tasks_of(session: Session, user_id: int, status: str | None, limit: int, before: int | None = None) -> Rows:
    """The first of `tasks` in one state, None: the open ones; `before`: of those before this id."""
    return rows(session, *_tasks_of(user_id, status, limit, before))


def task(session: Session, user_id: int, id: int) -> Row[Any] | None:
    """One of `tasks`, None when it is in no topic that the person may read."""
    return next(iter(rows(session, *_task(user_id, id))), None)


@prepared
def _task(user_id: int, id: int) -> Select[*tuple[Any, ...]]:
    return tasks(user_id).where(Task.id == id)


@prepared
def _tasks_of(user_id: int, status: str | None, limit: Few, before: int | None) -> Select[*tuple[Any, ...]]:
    found = tasks(user_id).where(Task.finished_at.is_(None) if status is None else Task.status == status).limit(limit)
    return found if before is None else found.where(Task.id < before)


def agents_for(session: Session, user_id: int, now: datetime, limit: int) -> Rows:
    """Those of `agents` that the person may see."""
    return rows(session, *_agents_for(user_id, now, limit))


@prepared
def _agents_for(user_id: int, now: datetime, limit: Few) -> Select[*tuple[Any, ...]]:
    return agents(now, Agent.visible_to(user_id)).limit(limit)


def page_of_topics(
    session: Session,
    user_id: int,
    limit: int,
    archived: bool = False,
    within: int | None = None,
    before: tuple[datetime, int] | None = None,
) -> Rows:
    """The first of `topics_in_full`; `before`: of those less active than at this time, or then and of a lower id."""
    at, id = before or (None, None)
    return rows(session, *_in_full(user_id, limit, archived, within, at, id))


@prepared
def _in_full(
    user_id: int, limit: Few, archived: bool, within: int | None, at: datetime | None, id: int | None
) -> Select[*tuple[Any, ...]]:
    found = topics_in_full(user_id, archived, within).limit(limit)
    return found if at is None else found.where(tuple_(Topic.active_at, Topic.id) < tuple_(at, id))


def readable_creatives(session: Session, user_id: int, limit: int) -> Rows:
    """The first of `creatives`."""
    return rows(session, *_creatives(user_id, limit))


@prepared
def _creatives(user_id: int, limit: Few) -> Select[*tuple[Any, ...]]:
    return creatives(user_id).limit(limit)
