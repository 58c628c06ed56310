"""An AI that can be given work: who it is, how it is reached, and which of its sessions are there.

Everything about presence is decided under one lock, the agent's row: subscribe, leave, unregister, reap, and the end
of a grace window.
"""

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Select, String, Text, exists, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import routing
from models.agent_subscription import AgentSubscription, Left
from models.base import Base, Born, Id, Time, locking
from models.behind_gateway import BehindGateway, why_not
from models.broadcast import broadcast
from models.creative import Creative, CreativeShare
from models.errors import Invalid, NotFound
from models.holds_work import HoldsWork
from models.is_lent import IsLent
from models.prepared import among, prepared
from models.sealed import Sealed
from models.task import Task
from models.user import User, check_name

CHANNEL_VENDOR, CHANNEL_MODEL = "anthropic", "claude-code"


class AgentKind(StrEnum):
    """How an agent is reached."""

    PLUGIN = "plugin"
    GATEWAY = "gateway"


class Agent(HoldsWork, BehindGateway, IsLent, Base):
    """An agent of one person: a plugin's, or one behind a gateway."""

    __tablename__ = "agents"
    __table_args__ = (
        Index("ix_agents_owner_id", "owner_id"),
        CheckConstraint("keep_seconds >= 0", name="keep_seconds"),
        CheckConstraint("max_tasks IS NULL OR max_tasks > 0", name="max_tasks"),
    )

    id: Mapped[Id]
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    kind: Mapped[str] = mapped_column(String(16))
    # The name people call it by (@scout), and the one the wire shows for it.
    handle: Mapped[str] = mapped_column(String(120))
    name: Mapped[str] = mapped_column(String(160))
    identity_key: Mapped[str] = mapped_column(String(120), unique=True)
    vendor: Mapped[str] = mapped_column(String(40))
    model: Mapped[str] = mapped_column(String(80))
    routing_expression: Mapped[str | None] = mapped_column(Text)
    keep_seconds: Mapped[int] = mapped_column(default=0)
    max_tasks: Mapped[int | None]
    # How often in a row it ran into its usage limit: each time it is given a longer rest.
    quota_retries: Mapped[int] = mapped_column(default=0, server_default="0")
    gateway_id: Mapped[int | None] = mapped_column(ForeignKey("gateways.id"), index=True)
    gateway_agent_id: Mapped[str | None] = mapped_column(String(120))
    # A key of its own: it is routable only while that is its gateway's, as it never acts under somebody else's.
    own_token: Mapped[str | None] = mapped_column(Sealed)
    key_differs: Mapped[bool] = mapped_column(default=False, server_default="false")
    away_since: Mapped[Time | None]
    created_at: Mapped[Born]
    removed_at: Mapped[Time | None]

    @property
    def stream(self) -> str:
        """Where its dispatches and its presence are broadcast."""
        return f"agent:{self.id}"

    @property
    def is_channel_agent(self) -> bool:
        """Whether it lives behind a plugin that speaks the agent channel."""
        return self.kind == AgentKind.PLUGIN and self.vendor == CHANNEL_VENDOR and self.model == CHANNEL_MODEL

    # -- who may see and use it --------------------------------------------------------------------------------

    @classmethod
    def visible_to(cls, user_id: int) -> Select["Agent"]:
        """The person's own agents, and those of everybody with whom they share a creative."""
        read = Creative.readable_by(user_id)
        owners = select(Creative.owner_id).where(Creative.id.in_(read))
        others = select(CreativeShare.user_id).where(
            CreativeShare.creative_id.in_(read), CreativeShare.user_id.is_not(None)
        )
        seen = or_(cls.owner_id == user_id, cls.owner_id.in_(owners), cls.owner_id.in_(others))
        return select(cls).where(cls.removed_at.is_(None), seen)

    @classmethod
    def seen_by(cls, session: Session, user: User, id: int) -> "Agent":
        """The agent, looked up through the person who asks. Raises NotFound."""
        found = session.scalars(cls.visible_to(user.id).where(cls.id == id)).first()
        if found is None:
            raise NotFound("There is no such agent, or you share nothing with its owner.")
        return found

    @classmethod
    def owned_by(cls, session: Session, user_id: int, id: int) -> "Agent | None":
        """The agent, if it is this person's own."""
        return session.scalars(*_owned_by(user_id, id)).first()

    # -- what its owner decides --------------------------------------------------------------------------------

    def change(self, session: Session, **values: Any) -> None:
        """Sets routing_expression, keep_seconds or max_tasks. Raises Invalid with the field at fault."""
        if "routing_expression" in values:
            expression = (values["routing_expression"] or "").strip() or None
            if expression is not None:
                routing.check(expression)
            self.routing_expression = expression
        if "keep_seconds" in values:
            self.keep_seconds = _whole(values["keep_seconds"], "keep_seconds", 0, 30 * 86400)
        if "max_tasks" in values:
            given = values["max_tasks"]
            self.max_tasks = None if given is None else _whole(given, "max_tasks", 1, 10_000)
        session.flush()
        broadcast(session, "hub", "agents", agent=self.id)

    # -- presence ----------------------------------------------------------------------------------------------

    @classmethod
    def locked(cls, session: Session, *ids: int, also: Select[int] | None = None) -> list["Agent"]:
        """These agents, and those that a subquery names, under their row locks: by ascending id, in one statement."""
        if also is None:
            return list(session.scalars(*_locked(ids)))
        return list(session.scalars(locking(cls, or_(cls.id.in_(ids), cls.id.in_(also)))))

    @classmethod
    def subscribe(
        cls, session: Session, agent_id: int, session_id: str | None, token: str, process_id: int | None
    ) -> None:
        """A session is here.

        1. Lock the agent; drop silent rows; supersede the session's older rows; insert this one.
        2. No row was live before: the agent is routable again, and whoever looks is told (by the function, too).
        3. Judge the work that this session may serve, and ask that waiting topics are advanced.
        """
        found = AgentSubscription.subscribe(session, agent_id, session_id, token, process_id)
        if found.has_work:
            agent = session.get_one(cls, agent_id)
            agent.judge(session, session_id, token, found.at)
            agent.welcome_back(session, session_id, found.at)
            Task.mark_due(session, found.at, agent_id=agent_id)

    @classmethod
    def unsubscribe(cls, session: Session, token: str) -> Left | None:
        """A connection is gone: its row starts a grace window. None: someone newer owns the agent; nothing changes."""
        return AgentSubscription.unsubscribe(session, token)

    def reap(self, session: Session, now: datetime) -> list[str]:
        """Drops silent rows, under the lock; returns their tokens."""
        dropped = AgentSubscription.drop_stale(session, self.id, now)
        if dropped:
            self._note_absence(session, now)
            _say_presence(session, self.id)
        return dropped

    def end_grace(self, session: Session, row: AgentSubscription, now: datetime) -> None:
        """The grace window of a dropped row is over; under the lock.

        1. The same session is live again: only the row goes.
        2. No other session is live or in its own window: all that the agent holds is released.
        3. Others are: what was sent to this row goes to a sibling, what belongs to its session topic is released.
        """
        session.delete(row)
        session.flush()
        others = AgentSubscription.of(session, self.id)
        live = [other for other in others if other.dropped_at is None]
        if row.session_id is not None and any(other.session_id == row.session_id for other in live):
            return
        if not others:
            self.release_held(session, now)
        else:
            self.release_of_session(session, row.session_id, row.token, now)
        _say_presence(session, self.id)

    def grace_for(
        self, session: Session, token: str, session_id: str | None, registration: int, now: datetime
    ) -> AgentSubscription:
        """A grace window for a connection that left no row behind; under the lock."""
        row = AgentSubscription(
            agent_id=self.id,
            token=token,
            session_id=session_id,
            registration=registration,
            last_seen_at=now,
            dropped_at=now,
        )
        session.add(row)
        session.flush()
        self._note_absence(session, now)
        _say_presence(session, self.id)
        return row

    def _note_absence(self, session: Session, now: datetime) -> None:
        if not AgentSubscription.live_of(session, self.id, now):
            self.away_since = now

    def leave(self, session: Session, session_id: str | None, now: datetime) -> None:
        """A session said goodbye and its rows are gone; under the lock. It never resumes: its work is cancelled."""
        if AgentSubscription.live_of(session, self.id, now):
            self.release_of_session(session, session_id, None, now, unregistered=True)
            return
        self.release_held(session, now, unregistered=True)
        self.away_since = now
        _say_presence(session, self.id)

    def routable(self, session: Session, now: datetime) -> bool:
        """Whether work may be delegated to it: asked of the live rows or of its gateway's, never of a flag."""
        if self.kind == AgentKind.GATEWAY:
            return self.standing(session)[0] is None
        return bool(
            session.scalar(select(exists().where(AgentSubscription.agent_id == self.id, AgentSubscription.live(now))))
        )

    @staticmethod
    def why_not(row: Any, live: bool) -> str | None:
        """Why the agent of a row of `listing` or `overview` cannot take work now, in a sentence; None when it can."""
        if row.kind == AgentKind.GATEWAY:
            return why_not(row, row.handle, row.key_differs)
        return None if live else f"{row.handle} is not connected."

    # -- identity ----------------------------------------------------------------------------------------------

    @staticmethod
    def identity(user_id: int, agent_name: str) -> str:
        """The key of one agent of one person: names that differ only in punctuation are different agents."""
        normal = agent_name.strip().lower()
        slug = re.sub(r"[^a-z0-9]+", "-", normal).strip("-")[:40] or "agent"
        return f"u{user_id}-{slug}-{hashlib.sha256(normal.encode()).hexdigest()[:24]}"

    @classmethod
    def new_channel_agent(cls, session: Session, owner: User, agent_name: str) -> "Agent":
        """A new agent behind a plugin. Raises Invalid (agent_name)."""
        handle = check_name(agent_name, "agent_name", 120)
        agent = cls(
            owner_id=owner.id,
            kind=AgentKind.PLUGIN,
            handle=handle,
            name=f"Claude Channel ({handle})",
            identity_key=cls.identity(owner.id, agent_name),
            vendor=CHANNEL_VENDOR,
            model=CHANNEL_MODEL,
        )
        session.add(agent)
        session.flush()
        return agent


@prepared
def _owned_by(user_id: int, id: int) -> Select[Agent]:
    return select(Agent).where(Agent.id == id, Agent.owner_id == user_id, Agent.removed_at.is_(None))


@prepared
def _locked(ids: Sequence[int]) -> Select[Agent]:
    return locking(Agent, among(Agent.id, ids))


def _say_presence(session: Session, id: int) -> None:
    # Only when `routable` flips or a window ends: commits that notify are serialised.
    broadcast(session, f"agent:{id}", "presence", agent=id)
    broadcast(session, "hub", "presence", agent=id)


def _whole(given: Any, field: str, low: int, high: int) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not low <= given <= high:
        raise Invalid(**{field: f"Give a whole number from {low} to {high:,}."})
    return given
