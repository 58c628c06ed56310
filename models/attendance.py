"""What stands beside a conversation: who may read it, which agents may work there, and how much work there is."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, func, select
from sqlalchemy.orm import Session

from models import overview
from models.agent import Agent
from models.message import Message
from models.prepared import Few, one_of, prepared, rows
from models.reading import earlier_in, newest_first
from models.task import Task
from models.task_status import RUNNING

MOST_NAMED = 50


def readers(session: Session, creative_id: int) -> Sequence[Row[Any]]:
    """The first of `overview.readers`."""
    return rows(session, *_readers(creative_id, MOST_NAMED))


@prepared
def _readers(creative_id: int, limit: Few) -> Select[*tuple[Any, ...]]:
    return overview.readers(creative_id).limit(limit)


def agents(session: Session, creative_id: int, now: datetime) -> Sequence[Row[Any]]:
    """The first of `overview.agents` that may work in a creative."""
    return rows(session, *_agents(creative_id, now, MOST_NAMED))


@prepared
def _agents(creative_id: int, now: datetime, limit: Few) -> Select[*tuple[Any, ...]]:
    return overview.agents(now, Agent.usable_in(creative_id)).limit(limit)


def work(session: Session, topic_id: int, since: datetime) -> Row[Any]:
    """How many tasks of a topic are `working` and `waiting`, and how many were `answered` since then (100 at most)."""
    return rows(session, *_work(topic_id, since))[0]


@prepared
def _work(topic_id: int, since: datetime) -> Select[*tuple[Any, ...]]:
    open_ = select(Task.status).where(Task.topic_id == topic_id, Task.finished_at.is_(None)).subquery()
    # Only the end of the conversation is read: a topic may hold a hundred thousand messages.
    newest = (
        select(Message.created_at, Message.task_id)
        .where(earlier_in(Message, topic_id))
        .order_by(*newest_first(Message))
        .limit(2 * overview.MOST_COUNTED)
        .subquery()
    )
    answered = select(func.count()).where(newest.c.created_at >= since, newest.c.task_id.is_not(None))
    runs = one_of(open_.c.status, RUNNING)
    return select(
        func.count().filter(runs).label("working"),
        func.count().filter(~runs).label("waiting"),
        answered.scalar_subquery().label("answered"),
    ).select_from(open_)
