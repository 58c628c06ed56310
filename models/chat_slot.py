"""A seat: one agent of a gateway, made beforehand, that holds one chat at a time.

free -- taken --> taken -- released --> free          handed to the next in line within the same transaction
taken, free -- drain --> draining                     takes nobody new; its chat leaves it when its answer has come
any -- no longer listed by the gateway --> missing    listed again: in service again
"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    ForeignKey,
    Index,
    String,
    and_,
    func,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, Born, Id, Time
from models.broadcast import broadcast

# Whether somebody sits there: the one truth is `chat_sessions.slot_id`, which holds each seat once.
FREE = text("NOT EXISTS (SELECT 1 FROM chat_sessions WHERE chat_sessions.slot_id = chat_slots.id)")


class ChatSlot(Base):
    """One seat of a pool. `leaving`: it was taken out of the pool and goes when its chat has left it."""

    __tablename__ = "chat_slots"
    __table_args__ = (
        Index(
            "uq_chat_slots_name",
            "gateway_id",
            text("lower(name)"),
            unique=True,
            postgresql_where=text("removed_at IS NULL"),
        ),
        Index("ix_chat_slots_pool_id", "pool_id", postgresql_where=text("removed_at IS NULL")),
    )

    id: Mapped[Id]
    pool_id: Mapped[int] = mapped_column(ForeignKey("chat_pools.id", ondelete="CASCADE"))
    gateway_id: Mapped[int] = mapped_column(ForeignKey("gateways.id", ondelete="CASCADE"))
    # The id of its agent at the gateway, and its place in the pool, from 1.
    name: Mapped[str] = mapped_column(String(120))
    position: Mapped[int]
    draining: Mapped[bool] = mapped_column(Boolean, default=False)
    leaving: Mapped[bool] = mapped_column(Boolean, default=False)
    missing_since: Mapped[Time | None]
    created_at: Mapped[Born]
    removed_at: Mapped[Time | None]

    @classmethod
    def in_service(cls) -> ColumnElement[bool]:
        """The condition for a seat that may be given to somebody once it is free."""
        return and_(cls.removed_at.is_(None), cls.draining.is_(False), cls.missing_since.is_(None))

    @property
    def is_in_service(self) -> bool:
        """Whether it may be given to somebody once it is free."""
        return self.removed_at is None and not self.draining and self.missing_since is None

    @classmethod
    def take(cls, session: Session, pool_id: int, prefer: int | None, avoid: str) -> "ChatSlot | None":
        """A free seat under its lock: the preferred one, else the first; None when all are taken.

        Under the pool's lock. `avoid` is the workspace agent, which is never its own seat.
        """
        free = (cls.pool_id == pool_id, cls.in_service(), func.lower(cls.name) != avoid.lower(), FREE)
        first = (cls.id.is_distinct_from(prefer), cls.position, cls.id)
        query = select(cls).where(*free).order_by(*first).limit(1).with_for_update(skip_locked=True)
        return session.scalars(query.execution_options(populate_existing=True)).first()

    @classmethod
    def free(cls, session: Session, pool_id: int, limit: int) -> list["ChatSlot"]:
        """So many free seats of a pool under their locks, in their order; under the pool's lock."""
        query = select(cls).where(cls.pool_id == pool_id, cls.in_service(), FREE).order_by(cls.id)
        query = query.limit(limit).with_for_update(skip_locked=True)
        found = session.scalars(query.execution_options(populate_existing=True))
        return sorted(found, key=lambda slot: (slot.position, slot.id))

    @classmethod
    def locked(cls, session: Session, *which: ColumnElement[bool]) -> list["ChatSlot"]:
        """The seats that fit, under their row locks, by ascending id, in one statement."""
        query = select(cls).where(*which).order_by(cls.id).with_for_update()
        return list(session.scalars(query.execution_options(populate_existing=True)))

    @classmethod
    def any_in_service(cls, session: Session, pool_id: int) -> bool:
        """Whether anybody could ever sit in this pool."""
        return (
            session.scalars(select(cls.id).where(cls.pool_id == pool_id, cls.in_service()).limit(1)).first() is not None
        )

    def sit(self, session: Session, chat_id: int, user_id: int, now: datetime) -> None:
        """Notes in its history that a chat took it."""
        session.add(Seating(slot_id=self.id, chat_id=chat_id, user_id=user_id, taken_at=now))
        self.changed(session)

    def rise(self, session: Session, now: datetime, reset_request_id: int | None) -> None:
        """Notes in its history that its chat left it; one that was to go, goes."""
        over = update(Seating).where(Seating.slot_id == self.id, Seating.released_at.is_(None))
        session.execute(over.values(released_at=now, reset_request_id=reset_request_id))
        if self.leaving:
            self.removed_at = now
        self.changed(session)

    def changed(self, session: Session) -> None:
        """Tells the pages that show the seats."""
        session.flush()
        broadcast(session, "hub", "slots")

    @classmethod
    def mark_vanished(cls, session: Session, gateway_id: int, ids: Collection[str], now: datetime) -> list[str]:
        """The gateway listed exactly these agents: seats it no longer lists are missing, listed ones are back.

        Returns the names of those just gone missing. Under the locks of the pools (`pool_changes.agents_listed`).
        """
        listed = {id.lower() for id in ids}
        mine = cls.locked(session, cls.gateway_id == gateway_id, cls.removed_at.is_(None))
        gone = [slot for slot in mine if slot.name.lower() not in listed and slot.missing_since is None]
        back = [slot for slot in mine if slot.name.lower() in listed and slot.missing_since is not None]
        for slot in gone:
            slot.missing_since = now
        for slot in back:
            slot.missing_since = None
        if gone or back:
            session.flush()
            broadcast(session, "hub", "slots")
        return [slot.name for slot in gone]


class Seating(Base):
    """Who sat where, from when to when: for the chart, and for what was asked of the gateway afterwards."""

    __tablename__ = "chat_seatings"
    __table_args__ = (
        Index("uq_chat_seatings_slot", "slot_id", unique=True, postgresql_where=text("released_at IS NULL")),
        Index("ix_chat_seatings_released_at", "released_at"),
    )

    id: Mapped[Id]
    slot_id: Mapped[int] = mapped_column(ForeignKey("chat_slots.id", ondelete="CASCADE"))
    chat_id: Mapped[int] = mapped_column(BigInteger)
    user_id: Mapped[int] = mapped_column(BigInteger)
    taken_at: Mapped[Time]
    released_at: Mapped[Time | None]
    reset_request_id: Mapped[int | None] = mapped_column(BigInteger)
