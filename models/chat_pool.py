"""The seats of one gateway: which agents hold chats for a workspace agent, and what happens when all are taken.

Whoever changes who sits where holds the pool's row lock first (after Topic and Agent, before ChatSlot), so that no seat
stands free while somebody waits for it.
"""

from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, String, func, or_, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, Born, Id
from models.errors import Invalid


class WhenFull(StrEnum):
    """What becomes of a chat that finds every seat taken."""

    FALLBACK = "fallback"
    WAIT = "wait"


class ChatPool(Base):
    """The pool of one workspace agent of a gateway; `workspace_agent` None: of all that have none of their own."""

    __tablename__ = "chat_pools"
    __table_args__ = (
        Index("uq_chat_pools_agent", "gateway_id", text("lower(coalesce(workspace_agent, ''))"), unique=True),
    )

    id: Mapped[Id]
    gateway_id: Mapped[int] = mapped_column(ForeignKey("gateways.id", ondelete="CASCADE"))
    workspace_agent: Mapped[str | None] = mapped_column(String(200))
    when_full: Mapped[str] = mapped_column(String(16), default=WhenFull.FALLBACK)
    # The number that was given last to somebody who waits here: the line is kept in the order of these.
    last_number: Mapped[int] = mapped_column(BigInteger, default=0)
    created_at: Mapped[Born]

    @classmethod
    def of(cls, session: Session, gateway_id: int | None, workspace_agent: str) -> int | None:
        """The id of the pool that serves this agent: its own, else the one for all; None when there is none."""
        name = func.lower(cls.workspace_agent)
        serves = or_(cls.workspace_agent.is_(None), name == workspace_agent.lower())
        query = select(cls.id).where(cls.gateway_id == gateway_id, serves)
        return session.scalars(query.order_by(cls.workspace_agent.is_(None)).limit(1)).first()

    @classmethod
    def locked(cls, session: Session, *ids: int | None) -> dict[int, "ChatPool"]:
        """These pools under their row locks, by ascending id, in one statement."""
        wanted = [id for id in ids if id is not None]
        if not wanted:
            return {}
        query = select(cls).where(cls.id.in_(wanted)).order_by(cls.id).with_for_update(key_share=True)
        found = session.scalars(query.execution_options(populate_existing=True))
        return {pool.id: pool for pool in found}

    @classmethod
    def named(cls, session: Session, gateway_id: int, workspace_agent: str | None, when_full: str) -> "ChatPool":
        """The pool of exactly this agent (None: the one for all) under its lock, made when there is none.

        Raises Invalid (when_full).
        """
        if when_full not in list(WhenFull):
            raise Invalid(when_full=f"Choose one of {', '.join(WhenFull)}.")
        name = None if workspace_agent is None else check_agent(workspace_agent, "agent")
        same = func.lower(func.coalesce(cls.workspace_agent, "")) == (name or "").lower()
        query = select(cls).where(cls.gateway_id == gateway_id, same).with_for_update(key_share=True)
        found = session.scalars(query.execution_options(populate_existing=True)).first()
        if found is None:
            found = cls(gateway_id=gateway_id, workspace_agent=name, last_number=0)
            session.add(found)
        found.when_full = when_full
        session.flush()
        return found

    def next_number(self) -> int:
        """A number in the line, under the pool's lock."""
        self.last_number += 1
        return self.last_number


def check_agent(given: str, field: str = "ids") -> str:
    """The id of an agent of a gateway. Raises Invalid (`field`) for what cannot be one."""
    name = given.strip()
    if (
        not name
        or len(name) > 120
        or ":" in name
        or any(letter.isspace() or not letter.isprintable() for letter in name)
    ):
        raise Invalid(**{field: f"{given!r} is no agent id: give one as the gateway lists it, such as chat-slot-1."})
    return name
