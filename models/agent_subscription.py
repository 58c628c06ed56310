"""The presence row: one live session of an agent, keyed by a token the server makes for each connection.

live ---- said goodbye, or silent too long ----> dropped (this row is the grace window)
live, dropped ---- the same session is back ----> gone
dropped ---- the grace window ends --------------> gone
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, ForeignKey, Index, Select, String, and_, any_, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, Born, Id, Time
from models.database import rules
from models.prepared import prepared

SUBSCRIBE = text(
    "SELECT was_away, has_work, at FROM subscribe_agent(:agent, :session, :token, :process, :stale, false)"
)
UNSUBSCRIBE = text("SELECT agent_id, still_routable FROM unsubscribe_agent(:token, :stale)")


class Subscribed(NamedTuple):
    """What `subscribe_agent` found: whether the agent had no live row before, has open work, and the time."""

    was_away: bool
    has_work: bool
    at: datetime


class Left(NamedTuple):
    """What `unsubscribe_agent` did: to which agent, and whether a live row is left."""

    agent_id: int
    still_routable: bool


class AgentSubscription(Base):
    """One connection of an agent's session. Live until `dropped_at`; to every question of liveness dropped is gone."""

    __tablename__ = "agent_subscriptions"
    __table_args__ = (
        Index("ix_agent_subscriptions_agent_id", "agent_id"),
        Index("ix_agent_subscriptions_dropped_at", "dropped_at", postgresql_where=text("dropped_at IS NOT NULL")),
        Index("ix_agent_subscriptions_last_seen_at", "last_seen_at", postgresql_where=text("dropped_at IS NULL")),
    )

    id: Mapped[Id]
    agent_id: Mapped[int] = mapped_column(ForeignKey("agents.id", ondelete="CASCADE"))
    token: Mapped[str] = mapped_column(String(64), unique=True)
    session_id: Mapped[str | None] = mapped_column(String(255))
    # How often the session had registered when this row was made: tells a restarted plugin from a blip.
    registration: Mapped[int] = mapped_column(default=0)
    process_id: Mapped[int | None]
    created_at: Mapped[Born]
    last_seen_at: Mapped[Time]
    dropped_at: Mapped[Time | None]

    @classmethod
    def live(cls, now: datetime) -> ColumnElement[bool]:
        """The condition for a live row: not dropped, heard less than `stale_seconds` ago (exactly that is stale)."""
        return and_(cls.dropped_at.is_(None), cls.last_seen_at > now - timedelta(seconds=rules().stale_seconds))

    @classmethod
    def stale(cls, now: datetime) -> ColumnElement[bool]:
        """The condition for a row that never said goodbye but fell silent."""
        return and_(cls.dropped_at.is_(None), cls.last_seen_at <= now - timedelta(seconds=rules().stale_seconds))

    @classmethod
    def subscribe(
        cls, session: Session, agent_id: int, session_id: str | None, token: str, process_id: int | None
    ) -> Subscribed:
        """Locks the agent, then, in one round trip: drops stale rows, supersedes this session's, inserts this one.

        One function in the database (migration 0002) because it is the busiest verb of all: the same steps as single
        statements take 2.5 times as long under contention. Those without open work come by `models.arrivals`.
        """
        values = {
            "agent": agent_id,
            "session": session_id,
            "token": token,
            "process": process_id,
            "stale": rules().stale_seconds,
        }
        return Subscribed(*session.execute(SUBSCRIBE, values).one())

    @classmethod
    def unsubscribe(cls, session: Session, token: str) -> Left | None:
        """Locks the agent and drops the row with this token; None when someone newer owns it or it dropped before."""
        row = session.execute(UNSUBSCRIBE, {"token": token, "stale": rules().stale_seconds}).first()
        return None if row is None or row[0] is None else Left(*row)

    @classmethod
    def touch(cls, session: Session, tokens: Sequence[str]) -> list[str]:
        """Refreshes the rows with these tokens, without the lock; returns the tokens that have no live row any more.

        A vanished row is never made again, and a dropped one stays dropped: its connection must subscribe anew. One
        that somebody holds just now is left alone: its session comes or goes, and to wait for it while holding others
        could be a deadlock.
        """
        live = select(cls.id).where(cls._named(tokens), cls.dropped_at.is_(None))
        free = live.with_for_update(skip_locked=True, key_share=True)
        beat = update(cls).where(cls.id.in_(free)).values(last_seen_at=func.now()).returning(cls.token)
        touched = set(session.scalars(beat.execution_options(synchronize_session=False)))
        untouched = [token for token in tokens if token not in touched]
        if untouched:
            touched.update(session.scalars(select(cls.token).where(cls._named(untouched), cls.dropped_at.is_(None))))
        return [token for token in untouched if token not in touched]

    @classmethod
    def dropped_among(cls, session: Session, tokens: Sequence[str]) -> set[str]:
        """Which of these tokens have a row in its grace window; the others' rows are gone."""
        if not tokens:
            return set()
        return set(session.scalars(select(cls.token).where(cls._named(tokens), cls.dropped_at.is_not(None))))

    @classmethod
    def _named(cls, tokens: Sequence[str]) -> ColumnElement[bool]:
        # One parameter for all: thousands of them would take longer to write down than to look up.
        return cls.token == any_(literal(list(tokens), ARRAY(String)))

    @classmethod
    def drop_stale(cls, session: Session, agent_id: int, now: datetime) -> list[str]:
        """Stamps the agent's silent rows as dropped; under the agent's lock. Returns their tokens."""
        silent = update(cls).where(cls.agent_id == agent_id, cls.stale(now)).values(dropped_at=now)
        return list(session.scalars(silent.returning(cls.token)))

    @classmethod
    def live_of(cls, session: Session, agent_id: int, now: datetime) -> list["AgentSubscription"]:
        """The agent's live rows, oldest first."""
        return list(session.scalars(*cls._live_of(agent_id, now)))

    @classmethod
    @prepared
    def _live_of(cls, agent_id: int, now: datetime) -> Select["AgentSubscription"]:
        return select(cls).where(cls.agent_id == agent_id, cls.live(now)).order_by(cls.id)

    @classmethod
    def of(cls, session: Session, agent_id: int) -> list["AgentSubscription"]:
        """All rows of the agent, live and dropped, oldest first, as they are now."""
        mine = select(cls).where(cls.agent_id == agent_id).order_by(cls.id)
        return list(session.scalars(mine.execution_options(populate_existing=True)))

    @classmethod
    def agents_with_stale(cls, session: Session, now: datetime) -> list[int]:
        """Which agents have silent rows, for the sweep."""
        return list(
            session.scalars(select(cls.agent_id).where(cls.stale(now)).distinct().order_by(cls.agent_id).limit(500))
        )

    @classmethod
    def ended(cls, session: Session, now: datetime) -> list[int]:
        """Ids of dropped rows whose grace window is over, oldest first."""
        over = cls.dropped_at <= now - timedelta(seconds=rules().grace_seconds)
        return list(session.scalars(select(cls.id).where(over).order_by(cls.dropped_at).limit(500)))

    @property
    def grace_ends_at(self) -> datetime | None:
        """When the grace window of a dropped row ends."""
        return None if self.dropped_at is None else self.dropped_at + timedelta(seconds=rules().grace_seconds)
