"""What a gateway said that fits no topic: it waits in the tray until somebody says where it belongs."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, Born, Id, Time
from models.broadcast import broadcast
from models.message import TEXT_LIMIT

MOST_SESSIONS = 50


class TrayItem(Base):
    """One message. `why` says why it fitted nowhere; `source` what sent it."""

    __tablename__ = "tray_items"
    __table_args__ = (Index("ix_tray_items_open", "id", postgresql_where=text("ended_at IS NULL")),)

    id: Mapped[Id]
    gateway_id: Mapped[int] = mapped_column(ForeignKey("gateways.id"), index=True)
    session_key: Mapped[str] = mapped_column(Text)
    run_id: Mapped[str] = mapped_column(String(200))
    text: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(String(16))
    why: Mapped[str] = mapped_column(Text)
    created_at: Mapped[Born]
    # Where it was put, by whom; both null for one that was thrown away.
    topic_id: Mapped[int | None] = mapped_column(BigInteger)
    message_id: Mapped[int | None] = mapped_column(BigInteger)
    ended_by: Mapped[int | None] = mapped_column(BigInteger)
    ended_at: Mapped[Time | None]

    @classmethod
    def put(
        cls, session: Session, gateway_id: int, session_key: str, run_id: str, words: str, source: str, why: str
    ) -> "TrayItem":
        """A new item. What is longer than a message may be is cut: the rest is in the gateway's own history."""
        text = words if len(words) <= TEXT_LIMIT else f"{words[: TEXT_LIMIT - 1]}\u2026"
        item = cls(
            gateway_id=gateway_id, session_key=session_key, run_id=run_id[:200], text=text, source=source, why=why
        )
        session.add(item)
        session.flush()
        broadcast(session, "hub", "tray")
        return item

    @classmethod
    def sessions(cls, session: Session, gateway_ids: Collection[int], since: datetime) -> list[tuple[str, datetime]]:
        """(session key, when it was first heard) of what came since then, the latest first.

        Runs of scheduled jobs are left out: each has a session of its own, in which nothing more is said.
        """
        mine = (cls.gateway_id.in_(list(gateway_ids)), cls.created_at > since, cls.session_key.not_like("%:cron:%"))
        last, first = func.max(cls.id), func.min(cls.created_at)
        query = select(cls.session_key, first).where(*mine).group_by(cls.session_key).order_by(last.desc())
        return [(key, at) for key, at in session.execute(query.limit(MOST_SESSIONS))]

    def end(self, session: Session, user_id: int, now: datetime, topic_id: int | None, message_id: int | None) -> None:
        """It was assigned to a topic, or thrown away (neither topic nor message)."""
        self.topic_id, self.message_id, self.ended_by, self.ended_at = topic_id, message_id, user_id, now
        session.flush()
        broadcast(session, "hub", "tray")


class TrayRoute(Base):
    """Somebody's choice, remembered: what comes under this key goes to this topic from now on."""

    __tablename__ = "tray_routes"
    __table_args__ = (UniqueConstraint("gateway_id", "session_key", name="uq_tray_routes_gateway_id_session_key"),)

    id: Mapped[Id]
    gateway_id: Mapped[int] = mapped_column(ForeignKey("gateways.id", ondelete="CASCADE"))
    session_key: Mapped[str] = mapped_column(String(512))
    topic_id: Mapped[int] = mapped_column(ForeignKey("topics.id", ondelete="CASCADE"))
    made_by: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[Born]

    @classmethod
    def remember(cls, session: Session, gateway_id: int, session_key: str, topic_id: int, user_id: int) -> None:
        """From now on; a later choice replaces an earlier one."""
        key = route_key(session_key)
        new = insert(cls).values(gateway_id=gateway_id, session_key=key, topic_id=topic_id, made_by=user_id)
        replaced = {"topic_id": topic_id, "made_by": user_id}
        session.execute(new.on_conflict_do_update(index_elements=["gateway_id", "session_key"], set_=replaced))

    @classmethod
    def topic_for(cls, session: Session, gateway_id: int, session_key: str) -> int | None:
        """The topic chosen for this key, None when nobody chose."""
        mine = (cls.gateway_id == gateway_id, cls.session_key == route_key(session_key))
        return session.scalar(select(cls.topic_id).where(*mine))


def route_key(session_key: str) -> str:
    """What a choice is remembered under: each run of a scheduled job has a key of its own, and is the same job."""
    job, run, _ = session_key.lower().partition(":run:")
    return (job if run and ":cron:" in job else session_key.lower())[:512]
