"""One thing said in a topic. Rendered once, when it is written."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Computed, ForeignKey, Index, SmallInteger, String, Text, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, Born, Id
from models.broadcast import broadcast
from models.errors import Invalid
from models.markup import VERSION, render

TEXT_LIMIT = 200_000
# No language is assumed: words as they are, in small letters. A vector holds no more than a megabyte.
WORDS = "to_tsvector('simple'::regconfig, \"left\"(text, 100000))"


class Source(StrEnum):
    """How a message came to be."""

    PERSON = "person"
    REPLY = "reply"
    PROACTIVE = "proactive"
    NOTICE = "notice"
    PROMPT = "prompt"


class Delivery(StrEnum):
    """How far a person's message has come with the agents it was given to."""

    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    WORKING = "working"
    ANSWERED = "answered"
    FAILED = "failed"


class Message(Base):
    """What was said, by whom, where. The author is a person, an agent, or (neither) the hub itself."""

    __tablename__ = "messages"
    __table_args__ = (
        Index("ix_messages_topic_id_id", "topic_id", "id"),
        Index("ix_messages_words", "words", postgresql_using="gin"),
        Index(
            "ix_messages_unrouted",
            "user_id",
            "id",
            postgresql_where=text("user_id IS NOT NULL AND delivery IS NULL AND why IS NOT NULL"),
        ),
        Index(
            "uq_messages_once", "topic_id", "user_id", "once", unique=True, postgresql_where=text("once IS NOT NULL")
        ),
        CheckConstraint("user_id IS NULL OR agent_id IS NULL", name="one_author"),
    )

    id: Mapped[Id]
    topic_id: Mapped[int] = mapped_column(ForeignKey("topics.id", ondelete="CASCADE"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    agent_id: Mapped[int | None] = mapped_column(ForeignKey("agents.id"))
    text: Mapped[str] = mapped_column(Text)
    html: Mapped[str] = mapped_column(Text)
    html_version: Mapped[int] = mapped_column(SmallInteger)
    source: Mapped[str] = mapped_column(String(16))
    # The task this answers. No foreign key: tasks point here, and two rows that point at each other cannot be added.
    task_id: Mapped[int | None] = mapped_column(BigInteger, index=True)
    run_id: Mapped[str | None] = mapped_column(String(200))
    gateway_id: Mapped[int | None] = mapped_column(BigInteger)
    # What made a gateway say it unasked: job, inject, operator, resumed, unknown; and why it was cut short, if it was.
    origin: Mapped[str | None] = mapped_column(String(16))
    cut: Mapped[str | None] = mapped_column(Text)
    delivery: Mapped[str | None] = mapped_column(String(16))
    why: Mapped[str | None] = mapped_column(Text)
    # What is looked for in it, made by the database from the text.
    words: Mapped[Any | None] = mapped_column(TSVECTOR, Computed(WORDS, persisted=True), deferred=True)
    # A form sent twice (no answer came, so it was sent again) is stored once.
    once: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[Born]

    @classmethod
    def add(
        cls,
        session: Session,
        topic_id: int,
        text: str,
        source: Source,
        user_id: int | None = None,
        agent_id: int | None = None,
        task_id: int | None = None,
        once: str | None = None,
        shown: Callable[[str], str] = render,
        **origin: Any,
    ) -> "Message":
        """Stores what was said, under the topic's lock, and tells the topic's stream. Raises Invalid (text).

        `shown` makes safe HTML of the text; `origin`: run_id, gateway_id, origin and cut, for what a gateway said.
        """
        text = check_text(text)
        message = cls(
            topic_id=topic_id,
            user_id=user_id,
            agent_id=agent_id,
            text=text,
            html=shown(text),
            html_version=VERSION,
            source=source,
            task_id=task_id,
            once=once,
            **origin,
        )
        session.add(message)
        session.flush()
        broadcast(session, f"topic:{topic_id}", "message", message=message.id)
        return message


def check_text(text: str) -> str:
    """The text as it was said, less what no database can hold (NUL, half a surrogate pair).

    Raises Invalid when blank or longer than 200,000 characters.
    """
    text = text.replace("\x00", "\ufffd")
    if not text.strip():
        raise Invalid(text="Write something: the text is blank.")
    if len(text) > TEXT_LIMIT:
        raise Invalid(text=f"Shorten the text to {TEXT_LIMIT:,} characters; it has {len(text):,}.")
    return text.encode("utf-8", "replace").decode("utf-8")
