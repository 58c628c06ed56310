"""Which waiting tasks may go, and which topics are to be looked at for that.

A part of `Task`, in a file of its own.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

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
        """Asks that the topics in which these queued tasks wait are advanced.

        A column of the task, not of the topic: who holds an agent must not touch a topic's row (lock order).
        """
        which = cls.agent_id == agent_id if agent_id is not None else cls.topic_id.in_(list(topic_ids))
        waiting = and_(cls.waits_its_turn(), cls.advance_due_at.is_(None), which)
        ids = list(session.scalars(select(cls.id).where(waiting).order_by(cls.id).with_for_update(key_share=True)))
        if ids:
            session.execute(update(cls).where(cls.id.in_(ids)).values(advance_due_at=now))

    @classmethod
    def due_topics(cls, session: Session, now: datetime, limit: int = 100) -> list[int]:
        """Topics with tasks that may be able to go, longest due first."""
        due = select(cls.topic_id).where(cls.advance_due_at <= now).group_by(cls.topic_id)
        return list(session.scalars(due.order_by(func.min(cls.advance_due_at)).limit(limit)))
