"""The conversation. Everything that follows from a message follows from `post` and `reply`."""

import hmac
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import BigInteger, ForeignKey, Index, Select, String, func, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import settling
from models.agent import Agent
from models.base import Base, Born, Id, Time, locking
from models.broadcast import broadcast
from models.creative import Creative
from models.errors import Invalid, LostRace, NotFound, WrongState
from models.hears_runs import HearsRuns
from models.listeners import Listeners, listeners
from models.markup import render
from models.message import Message, Source
from models.prepared import prepared
from models.task import Task, TaskMessage, TaskStatus
from models.tells_people import TellsPeople
from models.topic_read import TopicRead
from models.user import User, check_name


class Posted(NamedTuple):
    """What came of a message: the row, the tasks it went to, or why nobody took it."""

    message: Message
    tasks: list[Task]
    unrouted: str | None


class Topic(TellsPeople, HearsRuns, Base):
    """A conversation inside a creative. A session topic belongs to one session of one agent."""

    __tablename__ = "topics"
    __table_args__ = (
        Index("ix_topics_creative_id_active_at", "creative_id", "active_at"),
        Index("ix_topics_name_words", text("to_tsvector('simple'::regconfig, name)"), postgresql_using="gin"),
        Index("ix_topics_active_at", "active_at", "id", postgresql_where=text("archived_at IS NULL")),
        Index(
            "uq_topics_session",
            "creative_id",
            "session_agent_id",
            "session_id",
            unique=True,
            postgresql_where=text("session_id IS NOT NULL"),
        ),
        Index("ix_topics_last_message_id", "last_message_id"),
    )

    id: Mapped[Id]
    creative_id: Mapped[int] = mapped_column(ForeignKey("creatives.id"))
    name: Mapped[str] = mapped_column(String(160))
    primary_agent_id: Mapped[int | None] = mapped_column(ForeignKey("agents.id"))
    session_agent_id: Mapped[int | None] = mapped_column(ForeignKey("agents.id"))
    session_id: Mapped[str | None] = mapped_column(String(255))
    archived_at: Mapped[Time | None]
    last_message_id: Mapped[int | None] = mapped_column(BigInteger)
    # When something was last said, else when it was made: lists are read along it, however many topics there are.
    active_at: Mapped[Born]
    # Set for the topic of a chat. No foreign key: the chat points here.
    chat_id: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[Born]

    @property
    def stream(self) -> str:
        """Where what happens here is broadcast."""
        return f"topic:{self.id}"

    @property
    def archived(self) -> bool:
        """Whether it was put away."""
        return self.archived_at is not None

    # -- finding -----------------------------------------------------------------------------------------------

    @classmethod
    def seen_by(cls, session: Session, user: User, id: int) -> "Topic":
        """The topic, looked up through the person who asks. Raises NotFound."""
        found = session.execute(*_seen_by(user.id, id)).first()
        if found is None:
            raise NotFound("There is no such topic, or it is not shared with you.")
        topic, topic._kept = found
        return topic

    @classmethod
    def locked(cls, session: Session, id: int) -> "Topic | None":
        """The topic under its row lock, the first in the order of locks."""
        return session.scalars(*_locked(id)).first()

    def creative(self, session: Session) -> Creative:
        """What it lives in."""
        self._kept = session.get_one(Creative, self.creative_id)  # a session forgets what nobody holds
        return self._kept

    # -- making and changing -----------------------------------------------------------------------------------

    @classmethod
    def create(cls, session: Session, creative: Creative, name: str, primary_agent_id: int | None = None) -> "Topic":
        """A new topic. Raises Invalid (name, primary_agent_id)."""
        topic = cls(creative_id=creative.id, name=check_name(name, limit=160))
        topic.set_primary_agent(session, primary_agent_id)
        session.add(topic)
        session.flush()
        topic._tell_readers(session, creative)
        return topic

    def set_primary_agent(self, session: Session, agent_id: int | None) -> None:
        """Who takes what is written here without naming anybody. Raises Invalid (primary_agent_id)."""
        usable = Agent.usable_in(self.creative_id).where(Agent.id == agent_id)
        if agent_id is not None and session.scalars(usable).first() is None:
            raise Invalid(primary_agent_id=f"No agent {agent_id} may work here. Choose another one of this creative.")
        self.primary_agent_id = agent_id

    def rename(self, session: Session, name: str) -> None:
        """A new name. Raises Invalid (name)."""
        self.name = check_name(name, limit=160)
        self._changed(session)

    def appoint(self, session: Session, agent_id: int | None) -> None:
        """Another agent of its own, or none. Raises Invalid (primary_agent_id)."""
        self.set_primary_agent(session, agent_id)
        self._changed(session)

    def move(self, session: Session, creative: Creative) -> None:
        """Puts it into another creative, with all that was said; its own agent stays if it may work there.

        Raises WrongState for a session's own topic, for a chat's, and while somebody works here: an answer would find
        no way back.
        """
        if self.session_id is not None:
            raise WrongState("A topic that belongs to a plugin's session stays in the inbox of its owner.")
        if self.chat_id is not None:
            raise WrongState("A chat belongs to who opened it: it is not moved.")
        if session.scalars(select(Task.id).where(Task.topic_id == self.id, Task.finished_at.is_(None))).first():
            raise WrongState("There is open work in this topic. Wait until it is done, or cancel it; then move it.")
        for user_id in self.creative(session).reader_ids(session):
            broadcast(session, f"user:{user_id}", "rights")
        self.creative_id = creative.id
        usable = Agent.usable_in(creative.id).where(Agent.id == self.primary_agent_id)
        if session.scalars(usable).first() is None:
            self.primary_agent_id = None
        self._changed(session)

    def archive(self, session: Session, archived: bool, now: datetime) -> None:
        """Puts it away, or takes it out again."""
        self.archived_at = now if archived else None
        self._changed(session)

    def _changed(self, session: Session) -> None:
        session.flush()
        broadcast(session, self.stream, "topic", topic=self.id)
        self._tell_readers(session, self.creative(session))

    def _tell_readers(self, session: Session, creative: Creative) -> None:
        for user_id in creative.reader_ids(session):
            broadcast(session, f"user:{user_id}", "topics")

    # -- posting -----------------------------------------------------------------------------------------------

    def listeners(self, session: Session, text: str, author: str, now: datetime) -> Listeners:
        """Who would take this text, written by this author, now; without writing anything."""
        return listeners(session, self, text, author, now)

    def post(self, session: Session, user: User, text: str, now: datetime, once: str | None = None) -> Posted:
        """A person says something; under the topic's lock.

        1. Store the message (the same `once` a second time answers what the first one did).
        2. Find who takes it: agents named, else the topic's own, else those whose expression accepts it.
        3. A task for each, merged into one that still waits; then let what can go, go.
        """
        if once is not None and (before := self._posted_before(session, user, once)) is not None:
            return before
        message = Message.add(session, self.id, text, Source.PERSON, user_id=user.id, once=once)
        self._append(session, message)
        self.mark_read(session, user, message.id)
        taking = self.listeners(session, text, user.name, now)
        if taking.why is not None:
            message.why = taking.why
        agents = self.lock_agents(session, *(agent.id for agent in taking.agents))
        self.take_seat(session, [agent.id for agent in taking.agents], text, now)
        with settling.at_once(session):
            tasks = [self.queue(session, message, agent, taking, user.name) for agent in taking.agents]
            self.advance_among(session, agents, now)
        self._tell_readers(session, self.creative(session))
        session.flush()
        session.expire(message, ["delivery", "why"])  # settled by its tasks, in the database
        return Posted(message, tasks, taking.why)

    def notice(self, session: Session, text: str) -> Message:
        """The hub itself says something; nobody is given work."""
        message = Message.add(session, self.id, text, Source.NOTICE)
        self._append(session, message)
        return message

    def announce(
        self, session: Session, agent: Agent, text: str, source: Source, shown: Callable[[str], str] = render
    ) -> Message:
        """An agent says something besides its answers, under the topic's lock; nobody is given work."""
        message = Message.add(session, self.id, text, source, agent_id=agent.id, shown=shown)
        self._append(session, message)
        self._tell_readers(session, self.creative(session))
        return message

    def _posted_before(self, session: Session, user: User, once: str) -> Posted | None:
        mine = (Message.topic_id == self.id, Message.user_id == user.id, Message.once == once)
        message = session.scalars(select(Message).where(*mine)).first()
        if message is None:
            return None
        carried = select(TaskMessage.task_id).where(TaskMessage.message_id == message.id)
        tasks = list(session.scalars(select(Task).where(Task.id.in_(carried)).order_by(Task.id)))
        return Posted(message, tasks, None if tasks else message.why)

    def _append(self, session: Session, message: Message) -> None:
        self.last_message_id, self.active_at = message.id, func.now()
        session.flush()

    # -- answering ---------------------------------------------------------------------------------------------

    def reply(
        self, session: Session, agent: Agent, text: str, task: Task | None, generation: str | None, now: datetime
    ) -> Message:
        """An agent answers; under the topic's lock, so that others see nothing of it or all.

        1. Lock the task; it must still be delegated, under this generation (LostRace otherwise).
        2. Store the message (Invalid: the task stays delegated); finish the task.
        3. Agents named in it get it as their task.
        4. Ask that what waits here, and elsewhere for this agent, is advanced after the commit.
        """
        if task is not None:
            self.rest(session, task.id, now)
            [task] = Task.locked(session, [task.id])
            _check_claim(task, generation)
        message = Message.add(
            session, self.id, text, Source.REPLY, agent_id=agent.id, task_id=task.id if task else None
        )
        self._append(session, message)
        if task is not None:
            task.reply_message_id = message.id
            task.finish(session, TaskStatus.DONE, None, now, agent.handle)
        self.hand_over(session, message, agent, task, now)
        if task is not None:
            Task.mark_due(session, now, agent_id=agent.id, topic_ids=[self.id])
        self._tell_readers(session, self.creative(session))
        return message

    def delegated_task(self, session: Session, agent_id: int) -> Task | None:
        """The oldest task the agent was given here and has not answered."""
        open_ = (Task.topic_id == self.id, Task.agent_id == agent_id, Task.status == TaskStatus.DELEGATED)
        return session.scalars(select(Task).where(*open_).order_by(Task.id).limit(1)).first()

    # -- reading -----------------------------------------------------------------------------------------------

    def mark_read(self, session: Session, user: User, message_id: int) -> bool:
        """The person has seen everything up to this message; never moves back. Says whether that was new."""
        return TopicRead.further(session, user.id, self.id, message_id)

    def messages(self, session: Session, limit: int) -> list[Message]:
        """The newest messages, oldest first."""
        query = select(Message).where(Message.topic_id == self.id).order_by(Message.id.desc()).limit(limit)
        return list(session.scalars(query))[::-1]


@prepared
def _seen_by(user_id: int, id: int) -> Select[Topic, Creative]:
    mine = Topic.creative_id.in_(Creative.readable_by(user_id))
    return select(Topic, Creative).join(Creative, Creative.id == Topic.creative_id).where(Topic.id == id, mine)


@prepared
def _locked(id: int) -> Select[Topic]:
    return locking(Topic, Topic.id == id)


def _check_claim(task: Task, generation: str | None) -> None:
    if task.status != TaskStatus.DELEGATED:
        raise LostRace(f"The task is {task.status}; the answer was not stored.", reason=_why_lost(task))
    if generation is not None and not hmac.compare_digest(generation.encode(), (task.generation or "").encode()):
        raise LostRace(
            "The task was given out again since: this answer belongs to an earlier attempt and was not stored.",
            reason="not_delegated",
        )


def _why_lost(task: Task) -> str:
    """Whether the answer given is a harmless duplicate, or would be lost."""
    if task.status != TaskStatus.DONE:
        return "not_delegated"
    return "already_completed" if task.reply_message_id is not None else "claimed_without_reply"
