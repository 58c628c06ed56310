"""What an agent holds: which session gets a task, and what becomes of it when a session comes or goes.

A part of `Agent`, in a file of its own. All of it happens under the agent's row lock.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from models import sentences
from models.agent_session import AgentSession
from models.agent_subscription import AgentSubscription
from models.task import Task, TaskStatus
from models.task_status import RUNNING, SuspendedFor

HANDED_ON = "Its session is gone for good: given to another session of the same agent."


class HoldsWork:
    """The work of one agent, as seen by its sessions. Expects the agent's `id`, `handle` and `keep_seconds`."""

    id: Any
    handle: Any
    keep_seconds: Any

    def has_room(self, session: Session, max_tasks: int | None) -> bool:
        """Whether it may take one more task at a time."""
        if max_tasks is None:
            return True
        running = select(func.count()).where(Task.agent_id == self.id, Task.status.in_(RUNNING))
        return (session.scalar(running) or 0) < max_tasks

    def choose(self, session: Session, topic_session_id: str | None, now: datetime) -> AgentSubscription | None:
        """The one session to send to, under the lock: the topic's own, else the live one with least work, then
        longest without any. None when there is none.
        """
        live = AgentSubscription.live_of(session, self.id, now)
        if topic_session_id is not None:
            mine = [row for row in live if row.session_id == topic_session_id]
            return mine[-1] if mine else None
        if len(live) < 2:
            return live[0] if live else None
        load = self._load(session, [row.token for row in live])
        return min(live, key=lambda row: (*load.get(row.token, (0, 0)), row.id))

    def _load(self, session: Session, tokens: list[str]) -> dict[str, tuple[int, int]]:
        work = func.count().filter(Task.status.in_(RUNNING))
        query = select(Task.sent_to, work, func.max(Task.id)).where(Task.sent_to.in_(tokens)).group_by(Task.sent_to)
        return {token: (running, last) for token, running, last in session.execute(query) if token is not None}

    def release_held(self, session: Session, now: datetime, unregistered: bool = False) -> None:
        """Lets go of all work nobody can answer any more; queued work waits, unless the plugin said goodbye."""
        self._release(session, _held(unregistered), now, unregistered)

    def release_of_session(
        self, session: Session, session_id: str | None, token: str | None, now: datetime, unregistered: bool = False
    ) -> None:
        """Lets go of the work of one session while siblings are there: shared topics' tasks go to a live sibling."""
        if session_id is not None:
            self._release(session, and_(Task.only_session == session_id, _held(unregistered)), now, unregistered)
        if token is not None:
            self._hand_on(session, Task.sent_to == token, now)
        elif session_id is not None:
            self._hand_on(session, Task.sent_session_id == session_id, now)

    def _hand_on(self, session: Session, which: Any, now: datetime) -> None:
        ids = session.scalars(
            select(Task.id).where(Task.agent_id == self.id, Task.status == TaskStatus.DELEGATED, which)
        )
        for task in Task.locked(session, ids):
            if task.status != TaskStatus.DELEGATED:
                continue
            sibling = self.choose(session, None, now)
            if sibling is None:
                task.wait(session, sentences.NOT_CONNECTED.format(agent=self.handle))
            else:
                task.delegate(session, sibling.token, sibling.session_id, sibling.registration, HANDED_ON)

    def _release(self, session: Session, which: Any, now: datetime, unregistered: bool) -> None:
        ids = list(session.scalars(select(Task.id).where(Task.agent_id == self.id, Task.finished_at.is_(None), which)))
        held = Task.locked(session, ids)
        keep_until = now + timedelta(seconds=self.keep_seconds)
        for task in held:
            if not task.is_open:
                continue  # a step that ended with another one
            if unregistered:
                task.finish(session, TaskStatus.CANCELLED, sentences.LEFT.format(agent=self.handle), now, "hub")
            else:
                task.let_go(session, self.handle, sentences.DID_NOT_COME_BACK, keep_until, now)
        if held:
            Task.mark_due(session, now, topic_ids=sorted({task.topic_id for task in held}))

    def cancel_kept(self, session: Session, now: datetime) -> int:
        """Cancels what was kept for it too long, under the lock; says how many tasks."""
        kept = (Task.agent_id == self.id, Task.suspended_for == SuspendedFor.AGENT_OFFLINE, Task.until <= now)
        over = Task.locked(session, session.scalars(select(Task.id).where(*kept)))
        ended = [
            task
            for task in over
            if task.suspended_for == SuspendedFor.AGENT_OFFLINE and task.until and task.until <= now
        ]
        for task in ended:
            task.let_go(session, self.handle, sentences.KEPT_TOO_LONG, now, now)
        if ended:
            Task.mark_due(session, now, topic_ids=sorted({task.topic_id for task in ended}))
        return len(ended)

    def welcome_back(self, session: Session, session_id: str | None, now: datetime) -> None:
        """What was kept for this session may go on when its turn comes."""
        fits = or_(Task.only_session.is_(None), Task.only_session == session_id)
        kept = (
            Task.agent_id == self.id,
            Task.suspended_for == SuspendedFor.AGENT_OFFLINE,
            Task.until.is_not(None),
            fits,
        )
        for task in Task.locked(session, session.scalars(select(Task.id).where(*kept))):
            if task.suspended_for == SuspendedFor.AGENT_OFFLINE:
                task.suspend(session, SuspendedFor.AGENT_OFFLINE, sentences.BACK_AGAIN.format(agent=self.handle), None)

    def judge(self, session: Session, session_id: str | None, token: str, now: datetime) -> None:
        """What of the delegated work has to be sent to a session that has just come."""
        registration = AgentSession.registrations_of(session, self.id, session_id)
        mine = Task.agent_id == self.id, Task.status == TaskStatus.DELEGATED
        others = AgentSubscription.of(session, self.id)
        live = {row.token for row in others if row.token != token and row.dropped_at is None}
        in_grace = {row.token for row in others if row.dropped_at is not None}
        for task in Task.locked(session, session.scalars(select(Task.id).where(*mine))):
            if task.status != TaskStatus.DELEGATED or task.sent_to in live or not task.may_be_served_by(session_id):
                continue
            if task.sent_to in in_grace and task.sent_at is not None:
                continue  # its own session may still come back for it
            if task.sent_session_id == session_id and task.sent_at is not None:
                if task.sent_registration == registration:
                    task.follow(session, token)  # a blip: the plugin has it and works on it
                    continue
                task.note(session, "repeated", "Its plugin was restarted: sent again.", "hub")
                task.aim(session, token, session_id, registration)
            elif task.sent_session_id == session_id or task.sent_at is None:
                task.aim(session, token, session_id, registration)
            else:
                task.delegate(session, token, session_id, registration, HANDED_ON)


def _held(unregistered: bool) -> Any:
    """What an agent that is gone cannot answer; of one that said goodbye, all it has not answered.

    What was kept for it and waited for its turn when it left again is kept anew.
    """
    if unregistered:
        return Task.finished_at.is_(None)
    waited = and_(Task.suspended_for == SuspendedFor.AGENT_OFFLINE, Task.until.is_(None))
    return or_(Task.status.in_(RUNNING), waited)


def agents_kept_too_long(session: Session, now: datetime) -> list[int]:
    """Which agents have work that was kept past its time, for the sweep."""
    over = (Task.status == TaskStatus.SUSPENDED, Task.suspended_for == SuspendedFor.AGENT_OFFLINE, Task.until <= now)
    return list(session.scalars(select(Task.agent_id).where(*over).distinct().order_by(Task.agent_id).limit(500)))
