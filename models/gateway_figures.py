"""How quick each gateway answered, noted every ten minutes while it was connected: for the curve on its page.

Whoever comes first notes it. Ten minutes without a row: it was not connected, or no process of the hub ran.
"""

from datetime import UTC, datetime

from sqlalchemy import BigInteger, Float, delete, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, Time
from models.gateway import Gateway
from models.gateway_states import ConnectionState
from models.hub_figures import KEPT, last_end


class GatewayFigures(Base):
    """One gateway at the end of ten minutes. `latency_ms` is of its last ping."""

    __tablename__ = "gateway_figures"

    gateway_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[Time] = mapped_column(primary_key=True, index=True)
    latency_ms: Mapped[float] = mapped_column(Float)

    @classmethod
    def take(cls, session: Session, now: datetime) -> int:
        """Notes all that are connected, unless somebody has; says how many."""
        there = select(Gateway.id, literal(last_end(now)), Gateway.latency_ms).where(
            Gateway.connection == ConnectionState.CONNECTED,
            Gateway.removed_at.is_(None),
            Gateway.latency_ms.is_not(None),
        )
        row = insert(cls).from_select(["gateway_id", "at", "latency_ms"], there)
        return len(session.scalars(row.on_conflict_do_nothing().returning(cls.gateway_id)).all())

    @classmethod
    def between(cls, session: Session, gateway_id: int, since: datetime, until: datetime) -> dict[datetime, float]:
        """Milliseconds after `since` up to `until`, by the end of their ten minutes in UTC."""
        mine = (cls.gateway_id == gateway_id, cls.at > since, cls.at <= until)
        return {at.astimezone(UTC): ms for at, ms in session.execute(select(cls.at, cls.latency_ms).where(*mine))}

    @classmethod
    def forget_old(cls, session: Session, now: datetime) -> int:
        """Deletes what is older than eight days; says how many rows."""
        return session.execute(delete(cls).where(cls.at < now - KEPT)).rowcount  # type: ignore[attr-defined]
