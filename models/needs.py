"""What waits for one person besides approvals: tasks that came to nothing or stand still, messages nobody took.

Plain rows, one statement each, however many there are.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from models import overview
from models.creative import Creative
from models.message import Message
from models.prepared import Few, one_of, prepared, rows
from models.task import Task, TaskStatus
from models.task_event import TaskEvent
from models.task_status import SuspendedFor
from models.topic import Topic

Rows = Sequence[Row[*tuple[Any, ...]]]
LAST_WORDS = 160
# Steps go on by themselves; what waits for its agent or its limit may be given to somebody else.
HELD = (SuspendedFor.QUOTA, SuspendedFor.AGENT_OFFLINE)

# Who is named in a timeline when no person did it.
HUB = "hub"


def standing_still(session: Session, user_id: int, limit: int) -> Rows:
    """Open tasks of what the person asked that are put aside for a while, or of which nothing was heard for long."""
    return rows(session, *_standing_still(user_id, limit))


@prepared
def _standing_still(user_id: int, limit: Few) -> Select[*tuple[Any, ...]]:
    silent = and_(Task.status == TaskStatus.DELEGATED, Task.why.is_not(None))
    held = and_(Task.status == TaskStatus.SUSPENDED, one_of(Task.suspended_for, HELD), Task.until.is_not(None))
    mine = (Task.finished_at.is_(None), Message.user_id == user_id, or_(silent, held))
    return overview.tasks(user_id).where(*mine).limit(limit)


def fruitless(session: Session, user_id: int, since: datetime, limit: int) -> Rows:
    """Tasks that failed, or were cancelled by no person, since then; for what the person asked last in their topic."""
    return rows(session, *_fruitless(user_id, since, limit))


@prepared
def _fruitless(user_id: int, since: datetime, limit: Few) -> Select[*tuple[Any, ...]]:
    later = aliased(Message)
    asked_again = exists().where(later.topic_id == Task.topic_id, later.user_id == user_id, later.id > Task.message_id)
    by_hub = exists().where(
        TaskEvent.task_id == Task.id,
        TaskEvent.event == Task.status,
        TaskEvent.actor == HUB,
        TaskEvent.at >= Task.finished_at,
    )
    ended = (
        one_of(Task.status, (TaskStatus.FAILED, TaskStatus.CANCELLED)),
        Task.finished_at >= since,
        or_(Task.status == TaskStatus.FAILED, by_hub),
        Message.user_id == user_id,
        ~asked_again,
    )
    return overview.tasks(user_id).where(*ended).limit(limit)


def unrouted(session: Session, user_id: int, since: datetime, limit: int) -> Rows:
    """What the person wrote since then and nobody took, newest first; not where they have written again since."""
    return rows(session, *_unrouted(user_id, since, limit))


@prepared
def _unrouted(user_id: int, since: datetime, limit: Few) -> Select[*tuple[Any, ...]]:
    later = aliased(Message)
    again = exists().where(later.topic_id == Message.topic_id, later.user_id == user_id, later.id > Message.id)
    return (
        select(
            Message.id,
            Message.topic_id,
            Topic.name.label("topic_name"),
            func.left(Message.text, LAST_WORDS).label("words"),
            Message.why,
            Message.created_at,
        )
        .join(Topic, Topic.id == Message.topic_id)
        # To the letter what its index says (models/message.py): there are few of these among all messages.
        .where(Message.user_id == user_id, Message.delivery.is_(None), Message.why.is_not(None))
        .where(Message.created_at >= since, Topic.archived_at.is_(None), ~again)
        .where(Topic.creative_id.in_(Creative.readable_by(user_id)))
        .order_by(Message.id.desc())
        .limit(limit)
    )
