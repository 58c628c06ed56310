"""What tools asked and nobody decided when their turn was over: closed, as answered elsewhere or not needed any more.

A part of `PermissionRequest`, in a file of its own. A turn that an absent agent lost closes nothing, for a day.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import column, select, table, update
from sqlalchemy.orm import Session

FORGOTTEN_AFTER = timedelta(days=1)
TASKS = table("tasks", column("id"), column("finished_at"))  # Task itself is a floor above
TOOL, PENDING, ELSEWHERE = "tool", "pending", "elsewhere"  # the words of Kind and ApprovalStatus


class LeftOpen:
    """Expects the columns of `PermissionRequest`."""

    id: Any
    agent_id: Any
    topic_id: Any
    task_id: Any
    kind: Any
    status: Any
    say_changed: Any

    @classmethod
    def close_tools_of(cls, session: Session, task_id: int) -> None:
        """The task's turn is over: its open tool prompts were answered in the terminal, or nobody needs them now."""
        cls._close(session, cls.task_id == task_id)

    @classmethod
    def close_tools_in(cls, session: Session, agent_id: int, topic_id: int) -> None:
        """The session whose topic this is has said goodbye: what its tools asked is asked no more."""
        cls._close(session, cls.agent_id == agent_id, cls.topic_id == topic_id)

    @classmethod
    def close_forgotten(cls, session: Session, now: datetime) -> int:
        """Closes what tools asked in turns that ended a day ago; says how many.

        An agent that stayed away may come back until then, its tool still waiting for the decision.
        """
        long_over = select(TASKS.c.id).where(TASKS.c.finished_at < now - FORGOTTEN_AFTER)
        return cls._close(session, cls.task_id.in_(long_over))

    @classmethod
    def _close(cls, session: Session, *which: Any) -> int:
        ended = update(cls).where(cls.status == PENDING, cls.kind == TOOL, *which)
        ids = session.scalars(ended.values(status=ELSEWHERE).returning(cls.id)).all()
        for closed in session.scalars(select(cls).where(cls.id.in_(ids))) if ids else ():
            closed.say_changed(session)
        return len(ids)
