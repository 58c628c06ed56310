"""What the hub did in every ten minutes, counted once when they are over: the charts read rows, not tables of messages.

Whoever comes first counts. Ten minutes in which no process ran have no row: a gap is a gap.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, Float, Integer, Select, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.agent_subscription import AgentSubscription
from models.base import Base, Time
from models.chat_session import ChatSession
from models.chat_slot import ChatSlot
from models.gateway import Gateway
from models.gateway_states import ConnectionState
from models.message import Message
from models.permission_request import PermissionRequest
from models.prepared import prepared
from models.task import Task, TaskStatus

EVERY = timedelta(minutes=10)
KEPT = timedelta(days=8)


class HubFigures(Base):
    """Ten minutes, named by their end. What is counted is of these minutes, what stands is of their end."""

    __tablename__ = "hub_figures"

    at: Mapped[Time] = mapped_column(primary_key=True)
    last_message_id: Mapped[int] = mapped_column(BigInteger)
    messages: Mapped[int] = mapped_column(Integer, default=0)
    tasks_done: Mapped[int] = mapped_column(Integer, default=0)
    tasks_failed: Mapped[int] = mapped_column(Integer, default=0)
    approvals: Mapped[int] = mapped_column(Integer, default=0)
    # The median time a decided approval had waited, in seconds; null when none was decided.
    approval_wait: Mapped[float | None] = mapped_column(Float)
    sessions: Mapped[int] = mapped_column(Integer, default=0)
    gateways: Mapped[int] = mapped_column(Integer, default=0)
    seats_taken: Mapped[int] = mapped_column(Integer, default=0)
    seats: Mapped[int] = mapped_column(Integer, default=0)

    @classmethod
    def take(cls, session: Session, now: datetime) -> bool:
        """Counts the ten minutes that are over, unless somebody has; says whether it did."""
        end = last_end(now)
        if session.get(cls, end) is not None:
            return False
        before = session.scalar(select(cls.last_message_id).order_by(cls.at.desc()).limit(1))
        newest = session.scalar(select(func.max(Message.id))) or 0
        said = session.scalar(select(func.count()).where(Message.id > before)) if before is not None else 0
        row = insert(cls).values(at=end, last_message_id=newest, messages=said, **_counted(session, end, now))
        return session.scalar(row.on_conflict_do_nothing().returning(cls.at)) is not None

    @classmethod
    def between(cls, session: Session, since: datetime, until: datetime) -> dict[datetime, "HubFigures"]:
        """The rows after `since` up to `until`, by their end in UTC."""
        return {row.at.astimezone(UTC): row for row in session.scalars(*cls._between(since, until))}

    @classmethod
    @prepared
    def _between(cls, since: datetime, until: datetime) -> Select["HubFigures"]:
        return select(cls).where(cls.at > since, cls.at <= until)

    @classmethod
    def forget_old(cls, session: Session, now: datetime) -> int:
        """Deletes what is older than eight days; says how many rows."""
        return session.execute(delete(cls).where(cls.at < now - KEPT)).rowcount  # type: ignore[attr-defined]


def last_end(now: datetime) -> datetime:
    """The end of the ten minutes that were over last."""
    there = now.astimezone(UTC).replace(second=0, microsecond=0)
    return there - timedelta(minutes=there.minute % 10)


def _counted(session: Session, end: datetime, now: datetime) -> dict[str, int | float | None]:
    within = (Task.finished_at > end - EVERY, Task.finished_at <= end)
    decided = (PermissionRequest.decided_at > end - EVERY, PermissionRequest.decided_at <= end)
    waited = func.extract("epoch", PermissionRequest.decided_at - PermissionRequest.created_at)
    median = func.percentile_cont(0.5).within_group(waited)
    gateways = (Gateway.connection == ConnectionState.CONNECTED, Gateway.removed_at.is_(None))
    counts = {
        "tasks_done": select(func.count()).where(*within, Task.status == TaskStatus.DONE),
        "tasks_failed": select(func.count()).where(*within, Task.status == TaskStatus.FAILED),
        "approvals": select(func.count()).where(*decided),
        "approval_wait": select(median).where(*decided),
        "sessions": select(func.count()).where(AgentSubscription.live(now)),
        "gateways": select(func.count()).where(*gateways),
        "seats_taken": select(func.count()).where(ChatSession.slot_id.is_not(None)),
        "seats": select(func.count()).where(ChatSlot.in_service()),
    }
    row = session.execute(select(*(query.scalar_subquery().label(name) for name, query in counts.items()))).one()
    return dict(row._mapping)
