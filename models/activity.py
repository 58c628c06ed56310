"""Who did what, from where, to what; and what a gateway or a session of an agent went through, and why.

Append-only: no verb changes or deletes a line, and the database refuses both.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Index, String, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, Born, Id
from models.broadcast import broadcast

HUB = "hub"


class ActivityKind(StrEnum):
    """What sort of thing happened."""

    PERSON = "person"
    GATEWAY = "gateway"
    PRESENCE = "presence"
    HUB = "hub"


class Activity(Base):
    """One line. `text` is a whole sentence; `detail` quotes the other side or says who was touched.

    No foreign keys: a line outlives what it tells of.
    """

    __tablename__ = "activity"
    __table_args__ = (
        Index("ix_activity_gateway_id", "gateway_id", "id", postgresql_where=text("gateway_id IS NOT NULL")),
        Index("ix_activity_user_id", "user_id", "id", postgresql_where=text("user_id IS NOT NULL")),
        Index("ix_activity_kind", "kind", "id"),
    )

    id: Mapped[Id]
    at: Mapped[Born]
    kind: Mapped[str] = mapped_column(String(16))
    event: Mapped[str] = mapped_column(String(48))
    text: Mapped[str] = mapped_column(Text)
    detail: Mapped[str | None] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(String(120), default=HUB)
    user_id: Mapped[int | None] = mapped_column(BigInteger)
    address: Mapped[str | None] = mapped_column(String(64))
    agent_id: Mapped[int | None] = mapped_column(BigInteger)
    gateway_id: Mapped[int | None] = mapped_column(BigInteger)
    topic_id: Mapped[int | None] = mapped_column(BigInteger)
    task_id: Mapped[int | None] = mapped_column(BigInteger)
    # The gateway's state and its connection's when the line was written.
    state: Mapped[str | None] = mapped_column(String(16))
    connection: Mapped[str | None] = mapped_column(String(16))
    # Who was touched: {"agents": [ids], "topics": [ids]}.
    affected: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))

    @classmethod
    def record(
        cls,
        session: Session,
        kind: ActivityKind,
        event: str,
        text: str,
        *,
        actor: str = HUB,
        agents: Sequence[int] = (),
        topics: Sequence[int] = (),
        **about: Any,
    ) -> "Activity":
        """Writes a line in this transaction; `about` are further columns by name."""
        affected = {"agents": list(agents), "topics": list(topics)} if agents or topics else None
        line = cls(kind=kind, event=event, text=text, actor=actor[:120], affected=affected, **about)
        session.add(line)
        broadcast(session, HUB, "activity")
        return line
