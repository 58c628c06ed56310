"""What an agent holds: which session gets a task, and what becomes of it when a session comes or goes.

A part of `Agent`, in a file of its own. All of it happens under the agent's row lock.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.agent_session import AgentSession
from models.agent_subscription import AgentSubscription
from models.task import RUNNING, Task, TaskStatus

HANDED_ON = "Its session is gone for good: given to another session of the same agent."


class HoldsWork:
    """The work of one agent, as seen by its sessions. Expects the agent's `id` and `handle`."""

    id: Any
    handle: Any

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
        statuses = [TaskStatus.CLAIMED, TaskStatus.DELEGATED]
        if unregistered:
            statuses += [TaskStatus.QUEUED, TaskStatus.SUSPENDED]
        self._release(session, Task.status.in_(statuses), now, unregistered)

    def release_of_session(
        self, session: Session, session_id: str | None, token: str | None, now: datetime, unregistered: bool = False
    ) -> None:
        """Lets go of the work of one session while siblings are there: shared topics' tasks go to a live sibling."""
        statuses = [TaskStatus.CLAIMED, TaskStatus.DELEGATED]
        if unregistered:
            statuses += [TaskStatus.QUEUED, TaskStatus.SUSPENDED]
        if session_id is not None:
            own = Task.only_session == session_id
            self._release(session, own & Task.status.in_(statuses), now, unregistered)
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
                task.wait(session, f"{self.handle} is not connected.")
            else:
                task.delegate(session, sibling.token, sibling.session_id, sibling.registration, HANDED_ON)

    def _release(self, session: Session, which: Any, now: datetime, unregistered: bool) -> None:
        ids = list(session.scalars(select(Task.id).where(Task.agent_id == self.id, Task.finished_at.is_(None), which)))
        held = [task for task in Task.locked(session, ids) if task.is_open]
        for task in held:
            why = f"{self.handle} left." if unregistered else f"{self.handle} dropped and did not come back in time."
            task.finish(session, TaskStatus.CANCELLED, why, now, "hub")
        if held:
            Task.mark_due(session, now, topic_ids=sorted({task.topic_id for task in held}))

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
