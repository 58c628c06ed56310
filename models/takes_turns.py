"""Which waiting tasks may go, and which topics are to be looked at for that.

A part of `Task`, in a file of its own.
"""

import functools
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from models.prepared import among, prepared
from models.task_status import SuspendedFor, TaskStatus


class TakesTurns:
    """When a task's turn comes. Expects the columns of `Task`."""

    id: Any
    topic_id: Any
    agent_id: Any
    parent_id: Any
    status: Any
    suspended_for: Any
    until: Any
    position: Any
    finished_at: Any
    advance_due_at: Any

    @classmethod
    @functools.cache  # putting it together takes longer than most statements it stands in
    def waits_its_turn(cls) -> ColumnElement[bool]:
        """The condition for a task that may go as soon as it can: queued, or suspended and no longer put off.

        A step waits for the one before it and is not asked until then.
        """
        before = aliased(cls)
        earlier = exists().where(
            before.parent_id == cls.parent_id, before.position < cls.position, before.finished_at.is_(None)
        )
        back = and_(cls.status == TaskStatus.SUSPENDED, cls.until.is_(None), cls.suspended_for != SuspendedFor.STEPS)
        return and_(or_(cls.status == TaskStatus.QUEUED, back), or_(cls.parent_id.is_(None), ~earlier))

    @classmethod
    def mark_due(
        cls, session: Session, now: datetime, agent_id: int | None = None, topic_ids: Sequence[int] = ()
    ) -> None:
        """Asks that the topics are advanced in which queued tasks of this agent wait, or that are among these.

        A column of the task, not of the topic: who holds an agent must not touch a topic's row (lock order).
        """
        ids = list(session.scalars(*cls._waiting(agent_id, topic_ids)))
        if ids:
            session.execute(update(cls).where(cls.id.in_(ids)).values(advance_due_at=now))

    @classmethod
    @prepared
    def _waiting(cls, agent_id: int | None, topic_ids: Sequence[int]) -> Select[int]:
        which = among(cls.topic_id, topic_ids)
        if agent_id is not None:
            which = or_(cls.agent_id == agent_id, which)
        waiting = and_(cls.waits_its_turn(), cls.finished_at.is_(None), cls.advance_due_at.is_(None), which)
        return select(cls.id).where(waiting).order_by(cls.id).with_for_update(key_share=True)

    @classmethod
    def due_topics(cls, session: Session, now: datetime, limit: int = 100) -> list[int]:
        """Topics with tasks that may be able to go, longest due first."""
        due = select(cls.topic_id).where(cls.advance_due_at <= now).group_by(cls.topic_id)
        return list(session.scalars(due.order_by(func.min(cls.advance_due_at)).limit(limit)))
