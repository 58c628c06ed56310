"""A session that registered: one plugin process in one working directory, known by its id across restarts."""

from sqlalchemy import ForeignKey, Index, String, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, Born, Id


class AgentSession(Base):
    """What a session said when it registered. `registrations` counts its processes: a blip does not register."""

    __tablename__ = "agent_sessions"
    __table_args__ = (Index("uq_agent_sessions_agent_id_session_id", "agent_id", "session_id", unique=True),)

    id: Mapped[Id]
    agent_id: Mapped[int] = mapped_column(ForeignKey("agents.id", ondelete="CASCADE"))
    session_id: Mapped[str] = mapped_column(String(255))
    label: Mapped[str | None] = mapped_column(String(120))
    # What its register call named itself, shown and trusted by nobody.
    program: Mapped[str | None] = mapped_column(String(120))
    registrations: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[Born]

    @classmethod
    def registered(
        cls, session: Session, agent_id: int, session_id: str, label: str | None, program: str | None = None
    ) -> None:
        """Counts one more process of this session."""
        new = insert(cls).values(agent_id=agent_id, session_id=session_id, label=label, program=program)
        again = {"registrations": cls.registrations + 1, "label": new.excluded.label, "program": new.excluded.program}
        session.execute(new.on_conflict_do_update(index_elements=["agent_id", "session_id"], set_=again))

    @classmethod
    def registrations_of(cls, session: Session, agent_id: int, session_id: str | None) -> int:
        """How often this session has registered; 0 when it never did."""
        if session_id is None:
            return 0
        mine = (cls.agent_id == agent_id, cls.session_id == session_id)
        return session.scalar(select(cls.registrations).where(*mine)) or 0
