"""Work delegated to an agent: one message (or several, merged while they waited) for one agent.

queued -> delegated -> done            a plugin's agent: sent to one session, answered
queued -> claimed -> delegated -> done an agent behind a gateway
delegated, claimed -> suspended -> delegated (a new generation)
suspended, then until is None          its agent is back: it goes on when its turn comes
any open state -> cancelled, failed
"""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    ForeignKey,
    Index,
    String,
    Text,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import sentences
from models.base import Base, Born, Id, Time, locking
from models.broadcast import broadcast
from models.errors import WrongState
from models.has_steps import HasSteps
from models.is_a_run import IsARun
from models.message import Message
from models.permission_request import PermissionRequest
from models.prepared import prepared
from models.put_aside import PutAside
from models.settling import settle
from models.takes_turns import TakesTurns
from models.task_event import TaskEvent
from models.task_status import OPEN, SuspendedFor, TaskStatus


class Task(HasSteps, TakesTurns, PutAside, IsARun, Base):
    """One turn of one agent. `generation` is new for every attempt; an answer to an older one is refused."""

    __tablename__ = "tasks"
    __table_args__ = (
        Index("ix_tasks_topic_id_status", "topic_id", "status"),
        Index("ix_tasks_agent_id_open", "agent_id", "status", postgresql_where=text("finished_at IS NULL")),
        Index("ix_tasks_parent_id", "parent_id", postgresql_where=text("parent_id IS NOT NULL")),
        Index("ix_tasks_untold", "agent_id", postgresql_where=text("untold_at IS NOT NULL")),
        Index("ix_tasks_delegated", "sent_to", postgresql_where=text("status = 'delegated'")),
        Index("ix_tasks_suspended", "suspended_for", "until", postgresql_where=text("status = 'suspended'")),
        Index("ix_tasks_finished_at", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
        Index("ix_tasks_run_id", "gateway_id", "run_id", postgresql_where=text("run_id IS NOT NULL")),
        Index("ix_tasks_advance_due_at", "advance_due_at", postgresql_where=text("advance_due_at IS NOT NULL")),
    )

    id: Mapped[Id]
    topic_id: Mapped[int] = mapped_column(ForeignKey("topics.id", ondelete="CASCADE"))
    message_id: Mapped[int | None] = mapped_column(ForeignKey("messages.id", ondelete="SET NULL"))
    agent_id: Mapped[int] = mapped_column(ForeignKey("agents.id"))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("tasks.id"))
    # Its place among the steps of its parent, from 1.
    position: Mapped[int | None]
    # How often agents have handed this on to each other since a person last wrote.
    hops: Mapped[int] = mapped_column(default=0)
    status: Mapped[str] = mapped_column(String(16), default=TaskStatus.QUEUED)
    why: Mapped[str | None] = mapped_column(Text)
    until: Mapped[Time | None]
    suspended_for: Mapped[str | None] = mapped_column(String(16))
    content: Mapped[str] = mapped_column(Text)
    # What its agent reads before the content, in this attempt.
    preface: Mapped[str | None] = mapped_column(Text)
    # The only session that may serve it: that of a session topic. None: any session of the agent.
    only_session: Mapped[str | None] = mapped_column(String(255))
    generation: Mapped[str | None] = mapped_column(String(36))
    # Where it was sent: the connection (token) and session chosen, and when a socket took the frame.
    sent_to: Mapped[str | None] = mapped_column(String(64), index=True)
    sent_session_id: Mapped[str | None] = mapped_column(String(255))
    sent_registration: Mapped[int] = mapped_column(default=0)
    aimed_at: Mapped[Time | None]
    sent_at: Mapped[Time | None]
    sends: Mapped[int] = mapped_column(default=0)
    run_id: Mapped[str | None] = mapped_column(String(200))
    gateway_id: Mapped[int | None] = mapped_column(BigInteger)
    # Which of the gateway's agents it was sent to, under which session key, by which holder, and when that was begun.
    gateway_agent_id: Mapped[str | None] = mapped_column(String(200))
    session_key: Mapped[str | None] = mapped_column(String(512))
    claimed_epoch: Mapped[int | None] = mapped_column(BigInteger)
    claimed_at: Mapped[Time | None]
    # When its gateway last said something of its run.
    heard_at: Mapped[Time | None]
    partial: Mapped[str | None] = mapped_column(Text)
    # What its agent did meanwhile: [{"name", "what", "ok", "figures"}].
    tools: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True))
    pending_tool_call: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    # Set for a task that goes on after a decision: the request id of the question.
    approval_request_id: Mapped[str | None] = mapped_column(String(255))
    reply_message_id: Mapped[int | None] = mapped_column(BigInteger)
    advance_due_at: Mapped[Time | None]
    # Its topic was told that nobody works on it while its agent is away.
    absence_told_at: Mapped[Time | None]
    # It was cancelled while its agent was away, and its topic has yet to say so.
    untold_at: Mapped[Time | None]
    created_at: Mapped[Born]
    finished_at: Mapped[Time | None]

    @property
    def is_open(self) -> bool:
        """Whether somebody may still work on it."""
        return self.status in OPEN

    def may_be_served_by(self, session_id: str | None) -> bool:
        """Whether this session of the agent may take it: a session topic waits for its own."""
        return self.only_session is None or self.only_session == session_id

    @classmethod
    def queue(
        cls, session: Session, message: Message, agent_id: int, only_session: str | None, why: str | None, actor: str
    ) -> "Task":
        """A new task that waits for its agent; `why` says for what, `actor` who asked for it."""
        task = cls(
            topic_id=message.topic_id,
            message_id=message.id,
            agent_id=agent_id,
            only_session=only_session,
            content=message.text,
            why=why,
        )
        session.add(task)
        session.flush()
        task.carry(session, message)
        task.note(session, "queued", why or "Waits for its turn.", actor)
        task.changed(session)
        return task

    def merge(self, session: Session, message: Message, actor: str) -> None:
        """Takes a further message in while it waits: the agent gets no history, so all it must know is in here."""
        self.content = f"{self.content}\n\n{message.text}"
        self.carry(session, message)
        self.note(session, "merged", "Another message was added while it waited.", actor)
        self.changed(session)

    @classmethod
    def locked(cls, session: Session, ids: Iterable[int]) -> list["Task"]:
        """These tasks under their row locks, with those they are steps of, by ascending id, in one statement."""
        wanted = list(ids)
        found = session.scalars(_WITH_PARENTS, {"ids": wanted})
        return [task for task in found if task.id in wanted]

    @classmethod
    def locked_where(cls, session: Session, *which: ColumnElement[bool]) -> list["Task"]:
        """The tasks that fit, under their row locks, by ascending id, in one statement."""
        return list(session.scalars(locking(cls, *which)))

    def delegate(self, session: Session, token: str, session_id: str | None, registration: int, words: str) -> None:
        """Hands it to one session under a new generation; the process that holds the token's socket sends it."""
        self.preface = sentences.RESUME_NOTE if self.suspended_for == SuspendedFor.AGENT_OFFLINE else None
        self.status, self.why, self.until, self.suspended_for = TaskStatus.DELEGATED, None, None, None
        self.generation, self.advance_due_at = str(uuid.uuid4()), None
        self._end_attempt(session)
        self.aim(session, token, session_id, registration)
        self.note(session, "delegated", words, "hub")
        self.changed(session)

    def aim(self, session: Session, token: str, session_id: str | None, registration: int) -> None:
        """Names the connection that is to take the frame, and nudges it. The generation stays."""
        self.sent_to, self.sent_session_id, self.sent_registration = token, session_id, registration
        self.sent_at, self.sends, self.aimed_at = None, self.sends + 1, func.now()
        session.flush()
        broadcast(session, f"agent:{self.agent_id}", "dispatch", task=self.id, sends=self.sends)
        broadcast(session, f"topic:{self.topic_id}", "dispatch", task=self.id, sends=self.sends)

    def follow(self, session: Session, token: str) -> None:
        """The session moved to a new connection and works on: nothing is sent."""
        self.sent_to = token
        session.flush()

    @classmethod
    def sent(cls, session: Session, written: Sequence[tuple[int, str]]) -> None:
        """Stamps (task id, token) pairs whose frame a socket took."""
        for id, token in sorted(written):
            stamped = session.execute(*_stamp(id, token)).first()
            if stamped is not None:
                TaskEvent.add(session, id, "sent", "Its plugin has it.", "hub")
                cls._settle(session, id, stamped.topic_id)

    def finish(
        self, session: Session, status: TaskStatus, why: str | None, now: datetime, actor: str, stop: bool = True
    ) -> None:
        """Ends it: done, failed or cancelled. Raises WrongState when it has ended before.

        `stop`: a gateway that works on a task being cancelled is asked to stop.
        """
        if not self.is_open:
            raise WrongState(f"This task is {self.status} already.")
        if stop and status == TaskStatus.CANCELLED:
            self.stop_run(session)
        had_steps = self.suspended_for == SuspendedFor.STEPS
        self.status, self.why, self.until, self.finished_at = status, why, None, now
        self.suspended_for = self.advance_due_at = None
        self._end_attempt(session)
        if status == TaskStatus.DONE and self.sends > 1:
            PermissionRequest.close_tools_of(session, self.id)  # of the attempts before, which stayed away
        self.note(session, str(status), why or {"done": "Answered."}.get(status, str(status).capitalize() + "."), actor)
        self.changed(session)
        if had_steps or self.parent_id is not None:
            self.ended(session, had_steps, now)

    def wait(self, session: Session, why: str, actor: str = "hub") -> None:
        """Puts it back into the queue."""
        self.status, self.why, self.until, self.suspended_for = TaskStatus.QUEUED, why, None, None
        self.generation = self.sent_to = self.sent_session_id = self.sent_at = None
        self._end_attempt(session)
        self.note(session, "queued", why, actor)
        self.changed(session)

    def _end_attempt(self, session: Session) -> None:
        # Nobody waits any more for what its tools asked: whoever parked it asked at least one thing.
        if self.pending_tool_call is not None:
            self.pending_tool_call = None
            PermissionRequest.close_tools_of(session, self.id)

    def try_again(self, session: Session, agent_id: int, only_session: str | None, why: str, actor: str) -> None:
        """Puts it back into the queue as if it had never been tried, for this agent; for what waits or has failed."""
        self.agent_id, self.only_session = agent_id, only_session
        self.finished_at = self.reply_message_id = self.untold_at = None
        self.sent_registration = 0
        self.forget_run(session)
        self.wait(session, why, actor)

    def note(self, session: Session, event: str, words: str, actor: str) -> None:
        """A line in its timeline."""
        TaskEvent.add(session, self.id, event, words, actor)

    def carry(self, session: Session, message: Message) -> None:
        """The message is part of what its agent is told."""
        session.execute(_CARRIES, {"task_id": self.id, "message_id": message.id})

    def changed(self, session: Session) -> None:
        """Tells the topic, and settles what its messages say of their delivery."""
        self._settle(session, self.id, self.topic_id)

    @classmethod
    def _settle(cls, session: Session, id: int, topic_id: int) -> None:
        settle(session, [id])
        broadcast(session, f"topic:{topic_id}", "task", task=id)
        broadcast(session, "hub", "tasks")

    def timeline(self, session: Session) -> list[TaskEvent]:
        """What happened to it, oldest first (the newest 200)."""
        mine = select(TaskEvent).where(TaskEvent.task_id == self.id).order_by(TaskEvent.id.desc()).limit(200)
        return list(session.scalars(mine))[::-1]


# Several of a kind are locked by ascending id, in one statement: an ended step changes the task it belongs to.
_WITH_PARENTS = locking(
    Task,
    text(
        "tasks.id = ANY(array_cat(CAST(:ids AS bigint[]), ARRAY(SELECT step.parent_id FROM tasks step"
        " WHERE step.id = ANY(CAST(:ids AS bigint[])) AND step.parent_id IS NOT NULL)))"
    ),
)


@prepared
def _stamp(task_id: int, token: str) -> Any:
    stamp = update(Task).where(Task.id == task_id, Task.sent_to == token, Task.sent_at.is_(None))
    return stamp.values(sent_at=func.now()).returning(Task.topic_id)


class TaskMessage(Base):
    """Which messages a task carries."""

    __tablename__ = "task_messages"

    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True, index=True)


_CARRIES = insert(TaskMessage.__table__)  # type: ignore[arg-type]
