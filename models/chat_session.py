"""A chat: a topic of one person with one workspace agent, and the seat on which it is answered.

waiting -- a seat is free --> active        in line, in the order of arrival
active  -- answered --------> idle          a message: active again
active, idle -- idle too long, released --> expired       a message takes a seat again, the former one first
any     -- deleted ---------> deleted       refused from then on, purged later
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    String,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, Born, Id, Time
from models.broadcast import broadcast
from models.chat_slot import ChatSlot, Seating
from models.errors import NotFound
from models.message import Message, Source
from models.takes_seat import TakesSeat
from models.task import Task

TITLE = 60
# How long a deleted chat is still known: a message to it is refused with a reason, and then it is not found.
KEEP_DELETED = timedelta(days=1)
KEEP_SEATINGS = timedelta(days=2)


class ChatState(StrEnum):
    """Where a chat stands."""

    WAITING = "waiting"
    ACTIVE = "active"
    IDLE = "idle"
    EXPIRED = "expired"
    DELETED = "deleted"


LIVE = (ChatState.ACTIVE, ChatState.IDLE)


class ChatSession(TakesSeat, Base):
    """One chat. `slot_id` is the one truth about who sits where: each seat stands there once."""

    __tablename__ = "chat_sessions"
    __table_args__ = (
        Index("uq_chat_sessions_slot", "slot_id", unique=True, postgresql_where=text("slot_id IS NOT NULL")),
        Index("ix_chat_sessions_user_id", "user_id", "id"),
        Index("ix_chat_sessions_line", "pool_id", "number", postgresql_where=text("state = 'waiting'")),
        Index("ix_chat_sessions_live", "last_active_at", postgresql_where=text("state IN ('active', 'idle')")),
        CheckConstraint(
            "slot_id IS NULL OR (state IN ('active', 'idle') AND NOT fallback)", name="only_the_living_sit"
        ),
        CheckConstraint("(state = 'waiting') = (number IS NOT NULL)", name="who_waits_has_a_number"),
        CheckConstraint("idle_seconds > 0", name="idle_seconds"),
    )

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    agent_id: Mapped[int] = mapped_column(ForeignKey("agents.id"), index=True)
    topic_id: Mapped[int] = mapped_column(ForeignKey("topics.id", ondelete="CASCADE"), unique=True)
    # Its agent as the gateway calls it, and where that works, if the person said so.
    gateway_id: Mapped[int] = mapped_column(ForeignKey("gateways.id"), index=True)
    workspace_agent: Mapped[str] = mapped_column(String(120))
    working_directory: Mapped[str | None] = mapped_column(String(500))
    # Whether somebody or something has named it: the first message does.
    titled: Mapped[bool] = mapped_column(Boolean, default=False)
    state: Mapped[str] = mapped_column(String(16), default=ChatState.EXPIRED)
    pool_id: Mapped[int | None] = mapped_column(ForeignKey("chat_pools.id", ondelete="SET NULL"))
    slot_id: Mapped[int | None] = mapped_column(ForeignKey("chat_slots.id"))
    former_slot_id: Mapped[int | None] = mapped_column(BigInteger)
    # All seats were taken when it asked for one: the workspace agent answers.
    fallback: Mapped[bool] = mapped_column(Boolean, default=False)
    # Its place in the line is the order of these numbers.
    number: Mapped[int | None] = mapped_column(BigInteger)
    waiting_since: Mapped[Time | None]
    seated_at: Mapped[Time | None]
    # Which of the gateway's agents answers it, or did last; what was sent to it since `fresh_since` it still knows.
    answered_by: Mapped[str | None] = mapped_column(String(120))
    fresh_since: Mapped[Time | None]
    reset_request_id: Mapped[int | None] = mapped_column(BigInteger)
    idle_seconds: Mapped[int] = mapped_column(Integer)
    last_active_at: Mapped[Time]
    created_at: Mapped[Born]
    archived_at: Mapped[Time | None]
    deleted_at: Mapped[Time | None]

    # -- looking up --------------------------------------------------------------------------------------------

    @classmethod
    def get(cls, session: Session, id: int) -> "ChatSession":
        """The chat as it is now, a deleted one too. Raises NotFound."""
        query = select(cls).where(cls.id == id).execution_options(populate_existing=True)
        found = session.scalars(query).first()
        if found is None:
            raise NotFound("There is no such chat.")
        return found

    @classmethod
    def owned_by(cls, session: Session, user_id: int, id: int) -> "ChatSession":
        """The chat, looked up through the person who asks. Raises NotFound."""
        found = session.scalars(select(cls).where(cls.id == id, cls.user_id == user_id)).first()
        if found is None:
            raise NotFound("There is no such chat, or it is not yours.")
        return found

    @classmethod
    def all(cls, session: Session, limit: int = 200) -> list["ChatSession"]:
        """For diagnosis: every chat that is not deleted, who sits first, then who waits in order, then the rest."""
        first = (cls.slot_id.is_(None), cls.number.is_(None), cls.number, cls.id)
        query = select(cls).where(cls.state != ChatState.DELETED).order_by(*first).limit(limit)
        return list(session.scalars(query.execution_options(populate_existing=True)))

    @classmethod
    def locked(cls, session: Session, *which: ColumnElement[bool]) -> list["ChatSession"]:
        """The chats that fit one of these, under their row locks, by ascending id, in one statement."""
        query = select(cls).where(or_(*which)).order_by(cls.id).with_for_update(key_share=True)
        return list(session.scalars(query.execution_options(populate_existing=True)))

    # -- while it lives ----------------------------------------------------------------------------------------

    @classmethod
    def touch(cls, session: Session, id: int, now: datetime) -> bool:
        """It is used: idle becomes active. False, and nothing changes, for one that has no place to be answered on."""
        sits = cls.slot_id.in_(select(ChatSlot.id).where(ChatSlot.in_service()))
        ready = and_(cls.state.in_(LIVE), or_(cls.fallback, sits))
        used = update(cls).where(cls.id == id, ready).values(state=ChatState.ACTIVE, last_active_at=now)
        user_id = session.scalar(used.returning(cls.user_id))
        if user_id is not None:
            cls._say(session, user_id)
        return user_id is not None

    @classmethod
    def mark_idle(cls, session: Session, id: int, now: datetime) -> bool:
        """Its answer has come; the idle time begins anew. Says whether it was active."""
        rest = update(cls).where(cls.id == id, cls.state == ChatState.ACTIVE)
        user_id = session.scalar(rest.values(state=ChatState.IDLE, last_active_at=now).returning(cls.user_id))
        if user_id is not None:
            cls._say(session, user_id)
        return user_id is not None

    @classmethod
    def rest(cls, session: Session, id: int, now: datetime, ending: int | None = None) -> None:
        """A task of it ends (`ending`, its id): idle once none is open; a seat out of service is given up then.

        Before tasks are locked (the order of locks).
        """
        chat = cls.get(session, id)
        if cls.at_work(session, chat.topic_id, ending):
            session.execute(update(cls).where(cls.id == id, cls.state == ChatState.ACTIVE).values(last_active_at=now))
            return
        slot = None if chat.slot_id is None else session.get(ChatSlot, chat.slot_id, populate_existing=True)
        if slot is not None and not slot.is_in_service:
            cls.release(session, id, now)
        else:
            cls.mark_idle(session, id, now)

    @classmethod
    def is_at_work(cls) -> ColumnElement[bool]:
        """The condition for a chat with a message that is not answered yet."""
        return exists().where(Task.topic_id == cls.topic_id, Task.finished_at.is_(None))

    @classmethod
    def at_work(cls, session: Session, topic_id: int, ending: int | None = None) -> bool:
        """Whether a task is open in this topic, besides one that is about to end."""
        open_ = (Task.topic_id == topic_id, Task.finished_at.is_(None), Task.id.is_distinct_from(ending))
        return session.scalars(select(Task.id).where(*open_).limit(1)).first() is not None

    @classmethod
    def is_over(cls, now: datetime) -> ColumnElement[bool]:
        """The condition for one that did nothing for its own idle time, or has no work and a seat out of service."""
        ends = cls.last_active_at + func.make_interval(0, 0, 0, 0, 0, 0, cls.idle_seconds)
        out = cls.slot_id.in_(select(ChatSlot.id).where(~ChatSlot.in_service()))
        return and_(cls.state.in_(LIVE), or_(ends <= now, out), ~cls.is_at_work())

    @classmethod
    def over(cls, session: Session, now: datetime, limit: int = 200) -> list[int]:
        """Which are over, the longest idle first."""
        query = select(cls.id).where(cls.is_over(now)).order_by(cls.last_active_at, cls.id)
        return list(session.scalars(query.limit(limit)))

    @classmethod
    def expire_idle(cls, session: Session, now: datetime) -> list[int]:
        """Expires all that are over, in one transaction; returns which. The timetable does it one a transaction."""
        return [id for id in cls.over(session, now) if cls.release(session, id, now, only_over=True)]

    @classmethod
    def resting(cls, session: Session, limit: int = 200) -> list[int]:
        """Which are active though nothing is open in them: their work ended without an answer."""
        did = exists().where(Task.topic_id == cls.topic_id, Task.finished_at >= cls.last_active_at)
        return list(
            session.scalars(select(cls.id).where(cls.state == ChatState.ACTIVE, did, ~cls.is_at_work()).limit(limit))
        )

    @property
    def expires_at(self) -> datetime | None:
        """When its seat is given up if nothing more is said; None when it has none to give up."""
        lives = self.state in LIVE
        return self.last_active_at + timedelta(seconds=self.idle_seconds) if lives else None

    # -- its end -----------------------------------------------------------------------------------------------

    @classmethod
    def purge(cls, session: Session, now: datetime) -> list[int]:
        """Forgets those that were deleted a day ago, and old history of the seats. Returns the ids of their topics."""
        session.execute(delete(Seating).where(Seating.released_at < now - KEEP_SEATINGS))
        old = (cls.state == ChatState.DELETED, cls.deleted_at <= now - KEEP_DELETED)
        return list(session.scalars(delete(cls).where(*old).returning(cls.topic_id)))

    # -- telling -----------------------------------------------------------------------------------------------

    @staticmethod
    def _say(session: Session, user_id: int) -> None:
        broadcast(session, f"user:{user_id}", "chats")
        broadcast(session, "hub", "slots")

    def changed(self, session: Session) -> None:
        """Tells the pages of its person, its topic, and the board of the seats."""
        session.flush()
        self._say(session, self.user_id)
        broadcast(session, f"topic:{self.topic_id}", "topic", topic=self.topic_id)


def title_of(words: str) -> str:
    """What a chat is called after its first message: the beginning of it, on one line."""
    flat = " ".join(words.split())
    return flat if len(flat) <= TITLE else f"{flat[:TITLE].rsplit(' ', 1)[0]} ..."


def said_before(session: Session, topic_id: int, message_id: int | None, limit: int) -> Sequence[Message]:
    """What people and agents said in a topic before a message, the newest first."""
    spoken = (Source.PERSON, Source.REPLY, Source.PROACTIVE)
    query = select(Message).where(Message.topic_id == topic_id, Message.source.in_(spoken))
    if message_id is not None:
        query = query.where(Message.id < message_id)
    return session.scalars(query.order_by(Message.id.desc()).limit(limit)).all()
