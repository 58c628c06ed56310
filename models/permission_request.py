"""A tool of an agent, an agent, or a gateway's command asks; a person decides, once; the decision can be said again.

People, pages and the API call it an approval.

pending -> allowed, denied   a person decided
pending -> elsewhere         the turn ended, or its id was used again: answered in the terminal, or not needed any more
pending -> expired           nobody decided in time (a gateway's command)
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    ForeignKey,
    Index,
    Select,
    String,
    Text,
    and_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, distinct_on
from sqlalchemy.orm import Mapped, Session, joinedload, mapped_column, relationship

from models.base import Base, Born, Id, Time
from models.broadcast import broadcast
from models.deciders import HasDeciders
from models.errors import AlreadyDecided, Forbidden, Invalid, WrongState
from models.left_open import LeftOpen
from models.user import User

REASON_LIMIT = 2_000


class Kind(StrEnum):
    """Who asks: a plugin's tool, the agent itself, or a command of a gateway."""

    TOOL = "tool"
    QUESTION = "question"
    EXEC = "exec"


class ApprovalStatus(StrEnum):
    """Where it stands."""

    PENDING = "pending"
    ALLOWED = "allowed"
    DENIED = "denied"
    EXPIRED = "expired"
    ELSEWHERE = "elsewhere"


class Behavior(StrEnum):
    """What a person may decide, in the words of the wire."""

    ALLOW = "allow"
    ALLOW_ALWAYS = "allow_always"
    DENY = "deny"


DECIDED = (ApprovalStatus.ALLOWED, ApprovalStatus.DENIED)


@dataclass(frozen=True)
class Prompt:
    """What is asked. `input` is raw: null, an object or a text, as it came. `question` is set for a question only."""

    kind: Kind
    request_id: str
    approver_id: int
    tool_name: str | None = None
    description: str | None = None
    input: Any = None
    question: str | None = None


def allowed(kind: str, choices: list[str] | None) -> list[Behavior]:
    """What may be decided: what a gateway takes; a plugin knows nothing of allowing for ever."""
    if choices is not None:
        return [behavior for behavior in Behavior if behavior in choices]
    return list(Behavior) if kind == Kind.EXEC else [Behavior.ALLOW, Behavior.DENY]


class PermissionRequest(LeftOpen, HasDeciders, Base):
    """One thing that a person decides. Ids given by plugins are short and repeat: only the newest of an id counts."""

    __tablename__ = "permission_requests"
    __table_args__ = (
        Index("ix_permission_requests_agent_id_request_id", "agent_id", "request_id", "id"),
        Index("ix_permission_requests_pending", "topic_id", postgresql_where=text("status = 'pending'")),
        Index("ix_permission_requests_topic_id", "topic_id"),
        Index("ix_permission_requests_task_id", "task_id"),
        Index("ix_permission_requests_message_id", "message_id"),
        Index("ix_permission_requests_decided_at", "decided_at", postgresql_where=text("decided_at IS NOT NULL")),
        Index(
            "ix_permission_requests_unfinished",
            "agent_id",
            postgresql_where=text("turn_finished_at IS NOT NULL AND continuation_task_id IS NULL"),
        ),
    )

    id: Mapped[Id]
    kind: Mapped[str] = mapped_column(String(16))
    request_id: Mapped[str] = mapped_column(String(255))
    agent_id: Mapped[int] = mapped_column(ForeignKey("agents.id"))
    topic_id: Mapped[int] = mapped_column(ForeignKey("topics.id", ondelete="CASCADE"))
    task_id: Mapped[int | None] = mapped_column(ForeignKey("tasks.id", ondelete="SET NULL"))
    message_id: Mapped[int | None] = mapped_column(ForeignKey("messages.id", ondelete="SET NULL"))
    gateway_id: Mapped[int | None] = mapped_column(BigInteger)
    # The decisions that the gateway takes (allow, allow_always, deny), and what became of telling it.
    choices: Mapped[list[str] | None] = mapped_column(JSONB(none_as_null=True))
    told: Mapped[str | None] = mapped_column(Text)
    approver_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    tool_name: Mapped[str | None] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    input: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    question: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16), default=ApprovalStatus.PENDING)
    behavior: Mapped[str | None] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(Text)
    decided_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    decided_at: Mapped[Time | None]
    expires_at: Mapped[Time | None]
    created_at: Mapped[Born]
    # The agent ended its turn while this was open: when it is decided, the conversation goes on with a new task, once.
    turn_finished_at: Mapped[Time | None]
    continuation_task_id: Mapped[int | None] = mapped_column(BigInteger)

    topic: Mapped[Any] = relationship("Topic", viewonly=True)
    agent: Mapped[Any] = relationship("Agent", viewonly=True)
    approver: Mapped[User] = relationship("User", foreign_keys=[approver_id], viewonly=True)
    decided_by: Mapped[User | None] = relationship("User", foreign_keys=[decided_by_id], viewonly=True)

    @property
    def is_open(self) -> bool:
        """Whether it still waits for a person."""
        return self.status == ApprovalStatus.PENDING

    @property
    def is_decided(self) -> bool:
        """Whether a person allowed or denied it."""
        return self.status in DECIDED

    @property
    def allowed(self) -> list[Behavior]:
        """What may be decided."""
        return allowed(self.kind, self.choices)

    # -- asking ------------------------------------------------------------------------------------------------

    @classmethod
    def ask(
        cls, session: Session, prompt: Prompt, agent_id: int, topic_id: int, task_id: int | None, message_id: int
    ) -> "PermissionRequest":
        """A new request, under the topic's lock. An older open one under the same id ends: nobody waits for it."""
        older = (cls.agent_id == agent_id, cls.request_id == prompt.request_id)
        cls._close(session, *older)
        asked = cls(
            kind=prompt.kind,
            request_id=prompt.request_id,
            agent_id=agent_id,
            topic_id=topic_id,
            task_id=task_id,
            message_id=message_id,
            approver_id=prompt.approver_id,
            tool_name=prompt.tool_name,
            description=prompt.description,
            input=prompt.input,
            question=prompt.question,
        )
        session.add(asked)
        session.flush()
        asked.say_changed(session)
        return asked

    @classmethod
    def asked_before(cls, session: Session, prompt: Prompt, agent_id: int, topic_id: int) -> "PermissionRequest | None":
        """The open request that this prompt repeats, under the topic's lock: same agent, id and topic.

        A tool's prompt has to ask the same thing, too: an id of five letters may come again for something else.
        """
        same = (cls.agent_id == agent_id, cls.request_id == prompt.request_id, cls.topic_id == topic_id)
        query = select(cls).where(*same, cls.kind == prompt.kind).order_by(cls.id.desc()).limit(1)
        found = session.scalars(query).first()
        if found is None or not found.is_open:
            return None
        words = (found.tool_name, found.description, found.input)
        alike = prompt.kind == Kind.QUESTION or words == (prompt.tool_name, prompt.description, prompt.input)
        return found if alike else None

    # -- deciding ----------------------------------------------------------------------------------------------

    def decide(self, session: Session, user: User, behavior: str, reason: str | None, now: datetime) -> None:
        """The person's decision, under the row's lock; the first one stands.

        Raises Forbidden, Invalid (behavior, reason), AlreadyDecided (by whom and when), or WrongState when it ended
        without a decision. A question whose turn has ended is decided by `models.deciding`, which goes on with it.
        """
        session.refresh(self, with_for_update=True)
        if not self.may_decide(session, user):
            raise Forbidden("Only the approver who was named, or an approver of this creative, decides this.")
        if self.is_decided:
            raise self.already_decided()
        if behavior not in self.allowed:
            raise Invalid(behavior=f"Choose one of {', '.join(self.allowed)}.")
        if not self.is_open:
            raise WrongState("Nobody waits for this any more: the turn ended, or it was answered in the terminal.")
        self.reason = check_reason(reason)
        self.status = ApprovalStatus.DENIED if behavior == Behavior.DENY else ApprovalStatus.ALLOWED
        self.behavior, self.decided_by_id, self.decided_at = Behavior(behavior), user.id, now
        session.flush()
        session.expire(self, ["decided_by"])
        broadcast(session, f"agent:{self.agent_id}", "decision", request=self.id)
        self.say_changed(session)

    def already_decided(self) -> AlreadyDecided:
        """Who decided what, and when; for a request that is decided."""
        name = self.decided_by.name if self.decided_by else ""
        return AlreadyDecided(self.behavior or "", self.decided_by_id or 0, name, self.decided_at)

    # -- saying it again ---------------------------------------------------------------------------------------

    @classmethod
    def replayable(cls, session: Session, agent_id: int, request_ids: Collection[str]) -> list["PermissionRequest"]:
        """For each id the newest request of the agent under it, if that one is decided; with its decider."""
        if not request_ids:
            return []
        mine = (cls.agent_id == agent_id, cls.request_id.in_(list(request_ids)))
        newest = select(cls.id).where(*mine).ext(distinct_on(cls.request_id)).order_by(cls.request_id, cls.id.desc())
        decided = cls._with_decider().where(cls.id.in_(newest), cls.status.in_(DECIDED))
        return list(session.scalars(decided.order_by(cls.id)))

    @classmethod
    def by_ids(cls, session: Session, ids: Collection[int]) -> dict[int, "PermissionRequest"]:
        """These requests, each with its decider, by id."""
        return {found.id: found for found in session.scalars(cls._with_decider().where(cls.id.in_(list(ids))))}

    @classmethod
    def _with_decider(cls) -> Select["PermissionRequest"]:
        return select(cls).options(joinedload(cls.decided_by))

    # -- the end of a turn -------------------------------------------------------------------------------------

    @classmethod
    def take_over(
        cls, session: Session, task_id: int, request_ids: Sequence[str], now: datetime
    ) -> list["PermissionRequest"]:
        """The questions of this task among these ids, now that its turn has ended; under their locks, by id."""
        if not request_ids:
            return []
        mine = (cls.task_id == task_id, cls.kind == Kind.QUESTION, cls.request_id.in_(list(request_ids)))
        query = select(cls).where(*mine).order_by(cls.id).with_for_update(key_share=True)
        taken = list(session.scalars(query.execution_options(populate_existing=True)))
        for one in taken:
            one.turn_finished_at = one.turn_finished_at or now
            one.say_changed(session)
        session.flush()
        return taken

    @classmethod
    def unfinished(cls, session: Session, agent_id: int) -> list[tuple[int, int]]:
        """(id, topic id) of the agent's decided questions whose turn ended and that did not go on yet."""
        query = select(cls.id, cls.topic_id).where(cls.waits_to_go_on(agent_id)).order_by(cls.id)
        return [(id, topic_id) for id, topic_id in session.execute(query)]

    @classmethod
    def waits_to_go_on(cls, agent_id: Any) -> ColumnElement[bool]:
        """The condition for those, for a plain id or a column."""
        ended = (cls.turn_finished_at.is_not(None), cls.continuation_task_id.is_(None))
        return and_(cls.agent_id == agent_id, *ended, cls.status.in_(DECIDED))

    def end(self, session: Session, status: ApprovalStatus, told: str) -> None:
        """It is over without a decision made here; under the row's lock."""
        self.status, self.told = status, told
        session.flush()
        self.say_changed(session)

    def say_changed(self, session: Session) -> None:
        """Nudges the topic, and all who may decide."""
        broadcast(session, f"topic:{self.topic_id}", "approval", request=self.id)
        for user_id in self.decider_ids(session):
            broadcast(session, f"user:{user_id}", "approvals")


def check_reason(reason: str | None) -> str | None:
    """The reason without blanks around it; None when nothing is left. Raises Invalid (reason)."""
    kept = (reason or "").replace("\x00", "\ufffd").strip()
    if len(kept) > REASON_LIMIT:
        raise Invalid(reason=f"Shorten the reason to {REASON_LIMIT:,} characters; it has {len(kept):,}.")
    return kept or None
