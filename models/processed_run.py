"""Which run of which gateway became which message: kept so that nothing can post an answer twice or silence one."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, String, delete, exists, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, Born

KEPT = timedelta(days=30)
# Written out: each end of a run says both.
CLAIM = text(
    "INSERT INTO processed_runs (gateway_id, run_id, state, source) VALUES (:gateway_id, :run_id, :state, :source)"
    " ON CONFLICT DO NOTHING RETURNING run_id"
)
LINK = text(
    "UPDATE processed_runs SET message_id = :message_id, task_id = :task_id"
    " WHERE gateway_id = :gateway_id AND run_id = :run_id"
)


class ProcessedRun(Base):
    """One run that has ended here. `source`: job, inject, operator, resumed, send or unknown."""

    __tablename__ = "processed_runs"

    gateway_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    run_id: Mapped[str] = mapped_column(String(200), primary_key=True)
    task_id: Mapped[int | None] = mapped_column(BigInteger)
    message_id: Mapped[int | None] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(16))
    source: Mapped[str | None] = mapped_column(String(16))
    at: Mapped[Born]

    @classmethod
    def claim(cls, session: Session, gateway_id: int, run_id: str, state: str, source: str | None = None) -> bool:
        """Notes that this run ends here, in this transaction; False when somebody has done so before."""
        values = {"gateway_id": gateway_id, "run_id": run_id[:200], "state": state, "source": source}
        return session.execute(CLAIM, values).first() is not None

    @classmethod
    def known(cls, session: Session, gateway_id: int, run_id: str) -> bool:
        """Whether this run has ended here before."""
        mine = (cls.gateway_id == gateway_id, cls.run_id == run_id[:200])
        return bool(session.scalar(select(exists().where(*mine))))

    @classmethod
    def among(cls, session: Session, gateway_ids: Collection[int], run_ids: Collection[str]) -> set[str]:
        """Those of these runs that have ended here before, under any of these gateways."""
        short = {run_id[:200]: run_id for run_id in run_ids}
        mine = (cls.gateway_id.in_(list(gateway_ids)), cls.run_id.in_(list(short)))
        return {short[run_id] for run_id in session.scalars(select(cls.run_id).where(*mine))}

    @classmethod
    def link(cls, session: Session, gateway_id: int, run_id: str, message_id: int | None, task_id: int | None) -> None:
        """Says what became of it."""
        values = {"gateway_id": gateway_id, "run_id": run_id[:200], "message_id": message_id, "task_id": task_id}
        session.execute(LINK, values)

    @classmethod
    def forget_old(cls, session: Session, now: datetime) -> int:
        """Deletes what no gateway will say again; says how many."""
        return session.execute(delete(cls).where(cls.at < now - KEPT)).rowcount  # type: ignore[attr-defined]
