"""A task in steps: its children, one after the other. It ends with the last of them, or with the first that fails.

A part of `Task`, in a file of its own. A task with steps is given to nobody itself: it stays suspended until they end.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import sentences
from models.task_status import SuspendedFor, TaskStatus


class Step(NamedTuple):
    """One step: for whom, only for which session (None: any), and what is asked."""

    agent_id: int
    only_session: str | None
    text: str


class HasSteps:
    """The steps of one task. Expects the columns of `Task`."""

    id: Any
    parent_id: Any
    position: Any
    status: Any
    suspended_for: Any
    why: Any

    def add_steps(self: Any, session: Session, message: Any, steps: Sequence[Step], actor: str) -> None:
        """Makes the steps of a task just queued; the first may go, each other waits for the one before it."""
        for number, step in enumerate(steps, 1):
            why = sentences.WAITS_FOR_STEP if number > 1 else None
            child = type(self).queue(session, message, step.agent_id, step.only_session, why, actor)
            child.parent_id, child.position, child.content = self.id, number, step.text
        self._under_way(session, 1, len(steps))

    def steps(self, session: Session) -> list[Any]:
        """Its steps in their order; none for most tasks."""
        kind: Any = type(self)
        return list(session.scalars(select(kind).where(kind.parent_id == self.id).order_by(kind.position)))

    def ended(self: Any, session: Session, had_steps: bool, now: datetime) -> None:
        """What follows when it has ended: for its own steps, and for the task it is a step of (locked with it)."""
        if had_steps:
            for step in type(self).locked(session, [step.id for step in self.steps(session) if step.is_open]):
                step.finish(session, TaskStatus.CANCELLED, sentences.PARENT_ENDED, now, "hub")
        parent = None if self.parent_id is None else session.get_one(type(self), self.parent_id)
        if parent is None or not parent.is_open:
            return
        count = len(parent.steps(session))
        if self.status != TaskStatus.DONE:
            why = sentences.STEP_FAILED.format(number=self.position, count=count, why=self.why or self.status)
            parent.finish(session, TaskStatus.FAILED, why, now, "hub")
        elif self.position == count:
            parent.finish(session, TaskStatus.DONE, None, now, "hub")
        else:
            parent._under_way(session, self.position + 1, count)

    def reopen_steps(self: Any, session: Session, actor: str) -> None:
        """It was put back into the queue: so are the steps that have not been done, and the task it is a step of."""
        if self.parent_id is not None:
            [parent] = type(self).locked(session, [self.parent_id])
            if not parent.is_open:
                parent.try_again(session, parent.agent_id, parent.only_session, "A step of it was tried again.", actor)
                parent.reopen_steps(session, actor)
            return
        steps = self.steps(session)
        undone = [step for step in steps if step.status != TaskStatus.DONE]
        for step in type(self).locked(session, [step.id for step in undone if not step.is_open]):
            step.try_again(session, step.agent_id, step.only_session, sentences.WAITS_FOR_STEP, actor)
        if undone:
            self._under_way(session, undone[0].position, len(steps))

    def _under_way(self: Any, session: Session, number: int, count: int) -> None:
        why = sentences.STEPS_UNDER_WAY.format(number=number, count=count)
        self.suspend(session, SuspendedFor.STEPS, why, None)
